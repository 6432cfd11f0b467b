/** Which channels there are, how many are in them and how fast they go. */
import { useRef, useState } from "preact/hooks";
import { useAnswer } from "../hooks.ts";
import { Name, Problem, Time } from "../parts/text.tsx";
import { go, hashOf } from "../routes.ts";
import type { Channel, ChannelPage } from "../server-api.ts";
import { countText, rateText } from "../text.ts";

const PAGE = 100;
const LOOK_MS = 3_000;

export function Channels() {
  const [pattern, setPattern] = useState("");
  const [written, setWritten] = useState("");
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const cursor = cursors.at(-1) ?? "";
  const rates = useRef(new Rates());
  const { answer, problem } = useAnswer(
    async (api, signal) => {
      const page = await api.call("Channels", { pattern, cursor, limit: PAGE }, signal);
      rates.current.note(page);
      return page;
    },
    JSON.stringify([pattern, cursor]),
    LOOK_MS,
  );
  const apply = (event: Event): void => {
    event.preventDefault();
    setCursors([]);
    setPattern(written.trim());
  };
  const { channels = [], cursor: next = "", as_of: asOf } = answer ?? {};
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Channels
      </h1>
      <form class="row" onSubmit={apply}>
        <label class="grow">
          Pattern
          <input
            id="pattern"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder="chat.**"
            value={written}
            onInput={(event) => setWritten(event.currentTarget.value)}
          />
        </label>
        <button type="submit">Filter</button>
        <button
          type="button"
          class="plain"
          disabled={written.trim() === ""}
          onClick={() => go({ view: "tail", pattern: written.trim() })}
        >
          Tail
        </button>
      </form>
      <Problem text={problem} />
      {answer === undefined ? null : channels.length === 0 ? (
        <p class="empty">No channel here. One begins when it is published to or subscribed to.</p>
      ) : (
        <table>
          <caption class="hidden">Channels with members, messages and rates</caption>
          <thead>
            <tr>
              <th scope="col">Channel</th>
              <th scope="col" class="number">
                Members
              </th>
              <th scope="col" class="number">
                Head
              </th>
              <th scope="col" class="number">
                Rate
              </th>
            </tr>
          </thead>
          <tbody>
            {channels.map((channel) => (
              <Row
                key={channel.channel}
                channel={channel}
                rate={rates.current.of(channel.channel)}
              />
            ))}
          </tbody>
        </table>
      )}
      <div class="row">
        <button
          type="button"
          class="plain"
          disabled={cursors.length === 0}
          onClick={() => setCursors(cursors.slice(0, -1))}
        >
          Back
        </button>
        <button
          type="button"
          class="plain"
          disabled={next === ""}
          onClick={() => setCursors([...cursors, next])}
        >
          More
        </button>
        {asOf === undefined ? null : (
          <span class="quiet">
            As of <Time at={Number(asOf)} />
          </span>
        )}
      </div>
    </section>
  );
}

function Row({ channel, rate }: { readonly channel: Channel; readonly rate: number | undefined }) {
  const { channel: name, members = 0, position } = channel;
  return (
    <tr>
      <th scope="row">
        <a href={hashOf({ view: "channel", channel: name, part: "history" })}>
          <Name of={name} />
        </a>
      </th>
      <td class="number">{countText(members)}</td>
      <td class="number">{position === undefined ? "–" : countText(position.offset ?? 0)}</td>
      <td class="number">{rate === undefined ? "–" : rateText(rate)}</td>
    </tr>
  );
}

/** How far logs were when they were looked at, and so how fast they go. */
class Rates {
  #before = new Map<string, { epoch: string; offset: number; at: number }>();
  #rates = new Map<string, number>();

  note({ channels = [], as_of: asOf }: ChannelPage): void {
    const now = new Map<string, { epoch: string; offset: number; at: number }>();
    this.#rates = new Map();
    for (const { channel, position } of channels) {
      if (position === undefined) continue;
      const { epoch, offset = 0 } = position;
      const at = Number(asOf);
      const before = this.#before.get(channel);
      now.set(channel, { epoch, offset, at });
      if (before?.epoch !== epoch || at <= before.at) continue;
      this.#rates.set(channel, ((offset - before.offset) * 1_000) / (at - before.at));
    }
    this.#before = now;
  }

  of(channel: string): number | undefined {
    return this.#rates.get(channel);
  }
}
