/** The frames of one user or of one channel, as they come. A trace begins when it is asked for, and not when the view opens. */
import { useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { type Traced, TracePanel } from "../parts/trace-panel.tsx";

/** How long a trace lasts, in minutes. */
const MINUTES = [1, 5, 10] as const;

export interface TraceProps {
  readonly of: Traced;
  readonly name: string;
}

export function Trace({ of, name }: TraceProps) {
  const { may, mayEverywhere } = useOperator();
  const isForUsers = mayEverywhere("trace");
  const [about, setAbout] = useState<Traced>(isForUsers ? of : "channel");
  const [written, setWritten] = useState(name);
  const [minutes, setMinutes] = useState<number>(MINUTES[0]);
  const [payloads, setPayloads] = useState(false);
  const [begun, setBegun] = useState<Parameters<typeof TracePanel>[0] & { turn: number }>();
  const begin = (event: Event): void => {
    event.preventDefault();
    const terms = { of: about, name: written, minutes, payloads };
    setBegun({ ...terms, turn: (begun?.turn ?? 0) + 1 });
  };
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Trace
      </h1>
      <p class="quiet">
        Each frame of a user's sessions, or each that names a channel: its kind, its size and what
        became of it. No token is ever shown. That it begins is in the log of the server.
      </p>
      <form class="row" onSubmit={begin}>
        <label>
          Of
          <select
            id="traced"
            value={about}
            onChange={(event) => setAbout(event.currentTarget.value as Traced)}
          >
            {isForUsers ? <option value="user">user</option> : null}
            <option value="channel">channel</option>
          </select>
        </label>
        <label class="grow">
          Name
          <input
            id="traced-name"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            required
            value={written}
            onInput={(event) => setWritten(event.currentTarget.value)}
          />
        </label>
        <label>
          For
          <select
            value={minutes}
            onChange={(event) => setMinutes(Number(event.currentTarget.value))}
          >
            {MINUTES.map((one) => (
              <option key={one} value={one}>
                {one} min
              </option>
            ))}
          </select>
        </label>
        {may("trace-payloads") ? (
          <label class="check tall">
            <input
              id="payloads"
              type="checkbox"
              checked={payloads}
              onChange={(event) => setPayloads(event.currentTarget.checked)}
            />
            With events
          </label>
        ) : null}
        <button type="submit">Begin</button>
      </form>
      {begun === undefined ? (
        <p class="empty">On Workers a trace keeps awake what it is about, until it ends.</p>
      ) : (
        <TracePanel key={begun.turn} {...begun} />
      )}
    </section>
  );
}
