/** Publishes one event, to try what becomes of it. */
import { useState } from "preact/hooks";
import { randomUuid } from "../../../client/core/cloud-event.ts";
import { useOperator } from "../hooks.ts";
import { Problem } from "../parts/text.tsx";
import { hashOf } from "../routes.ts";
import { failureText } from "../server-api.ts";

export function Publish({ channel }: { readonly channel: string }) {
  const { api } = useOperator();
  const [event, setEvent] = useState({
    channel,
    type: "test",
    source: "/console",
    contentType: "application/json",
    data: '{"text":"hello"}',
  });
  const [isTransient, setTransient] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>();
  const [done, setDone] = useState("");
  const field = (name: keyof typeof event) => ({
    value: event[name],
    onInput: ({ currentTarget }: { readonly currentTarget: { readonly value: string } }) =>
      setEvent({ ...event, [name]: currentTarget.value }),
  });
  const send = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    setDone("");
    try {
      const payload = {
        id: randomUuid(),
        source: event.source,
        type: event.type,
        text_data: event.data,
        attributes:
          event.contentType === "" ? {} : { datacontenttype: { ce_string: event.contentType } },
      };
      const destination = { channels: [event.channel] };
      const options = isTransient ? { transient: true } : {};
      const { results = [] } = await api.call("Publish", {
        publications: [{ id: "console", destination, options, payload }],
      });
      const [{ destinations: [first] = [], error } = {}] = results;
      const failure = error ?? first?.error;
      if (failure !== undefined) setProblem(failure.message ?? failure.code);
      else
        setDone(
          first?.position === undefined
            ? "Published, and in no log."
            : `Published as #${first.position.offset ?? 0}.`,
        );
    } catch (error) {
      setProblem(failureText(error));
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Publish a test event
      </h1>
      <form
        class="fields"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          send().catch(() => {});
        }}
      >
        <label>
          Channel
          <input id="into" required autocomplete="off" spellcheck={false} {...field("channel")} />
        </label>
        <label>
          Type
          <input id="type" required autocomplete="off" spellcheck={false} {...field("type")} />
        </label>
        <label>
          Source
          <input required autocomplete="off" spellcheck={false} {...field("source")} />
        </label>
        <label>
          Content type
          <input autocomplete="off" spellcheck={false} {...field("contentType")} />
        </label>
        <label class="wide">
          Data
          <textarea id="data" rows={6} spellcheck={false} {...field("data")} />
        </label>
        <label class="check wide">
          <input
            type="checkbox"
            checked={isTransient}
            onChange={({ currentTarget }) => setTransient(currentTarget.checked)}
          />
          Only to who is subscribed now, outside of the log
        </label>
        <div class="row wide">
          <button type="submit" disabled={isBusy}>
            Publish
          </button>
          <p role="status">{done}</p>
          {done === "" ? null : (
            <a href={hashOf({ view: "channel", channel: event.channel, part: "history" })}>
              See the channel
            </a>
          )}
        </div>
        <Problem text={problem} />
      </form>
    </section>
  );
}
