/** The live tail of a channel or pattern. */
import { useState } from "preact/hooks";
import { TailPanel } from "../parts/tail-panel.tsx";
import { go } from "../routes.ts";

export function Tail({ pattern }: { readonly pattern: string }) {
  const [written, setWritten] = useState(pattern);
  const apply = (event: Event): void => {
    event.preventDefault();
    go({ view: "tail", pattern: written.trim() });
  };
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Live tail
      </h1>
      <form class="row" onSubmit={apply}>
        <label class="grow">
          Channel or pattern
          <input
            id="tailed"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder="chat.**"
            required
            value={written}
            onInput={(event) => setWritten(event.currentTarget.value)}
          />
        </label>
        <button type="submit">Tail</button>
      </form>
      {pattern === "" ? (
        <p class="empty">
          The console subscribes like any client: in a channel it is a member while it looks.
        </p>
      ) : (
        <TailPanel key={pattern} name={pattern} pattern={/(^|\.)\*/.test(pattern)} />
      )}
    </section>
  );
}
