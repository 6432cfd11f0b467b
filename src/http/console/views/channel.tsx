/** One channel: what was published, what is published now, and its members. */
import { useState } from "preact/hooks";
import type { Position } from "../../../client/wire/frames.ts";
import { useAnswer, useOperator } from "../hooks.ts";
import { Confirm } from "../parts/confirm.tsx";
import { MessageItem } from "../parts/message.tsx";
import { gapText, TailPanel } from "../parts/tail-panel.tsx";
import { Name, Problem, Time } from "../parts/text.tsx";
import { CHANNEL_PARTS, type ChannelPart, hashOf } from "../routes.ts";
import { countText } from "../text.ts";

const PAGE = 50;
const LOOK_MS = 3_000;
const TITLES: Readonly<Record<ChannelPart, string>> = {
  history: "History",
  live: "Live",
  members: "Members",
};

export function ChannelView({
  channel,
  part,
}: {
  readonly channel: string;
  readonly part: ChannelPart;
}) {
  const { may } = useOperator();
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        <Name of={channel} />
      </h1>
      <nav class="parts" aria-label="Parts of the channel">
        {CHANNEL_PARTS.map((one) => (
          <a
            key={one}
            href={hashOf({ view: "channel", channel, part: one })}
            aria-current={one === part ? "page" : undefined}
          >
            {TITLES[one]}
          </a>
        ))}
        {may("publish") ? <a href={hashOf({ view: "publish", channel })}>Publish</a> : null}
        {may("trace") ? (
          <a href={hashOf({ view: "trace", of: "channel", name: channel })}>Trace</a>
        ) : null}
      </nav>
      {part === "history" ? <History key={channel} channel={channel} /> : null}
      {part === "live" ? <TailPanel key={channel} name={channel} /> : null}
      {part === "members" ? <Members key={channel} channel={channel} /> : null}
    </section>
  );
}

function History({ channel }: { readonly channel: string }) {
  const { api, may } = useOperator();
  const [places, setPlaces] = useState<readonly Position[]>([]);
  const since = places.at(-1);
  const { answer, problem, ask } = useAnswer(
    (its, signal) =>
      its.call(
        "History",
        { channel, reverse: true, limit: PAGE, ...(since === undefined ? {} : { since }) },
        signal,
      ),
    JSON.stringify([channel, since]),
  );
  const { messages = [], position, gap, more = false } = answer ?? {};
  const last = messages.at(-1);
  const older = (): void => {
    if (last === undefined) return;
    setPlaces([...places, { epoch: last.epoch ?? "", offset: last.offset ?? 0 }]);
  };
  return (
    <section>
      <div class="row">
        <button
          type="button"
          class="plain"
          onClick={() => (places.length > 0 ? setPlaces([]) : ask())}
        >
          Newest
        </button>
        <button
          type="button"
          class="plain"
          disabled={places.length === 0}
          onClick={() => setPlaces(places.slice(0, -1))}
        >
          Newer
        </button>
        <button type="button" class="plain" disabled={!more} onClick={older}>
          Older
        </button>
        {position === undefined ? null : (
          <span class="quiet">
            Head {countText(position.offset ?? 0)} of epoch <Name of={position.epoch} />
          </span>
        )}
      </div>
      <Problem text={problem} />
      {gap === undefined ? null : (
        <p class="gaps">Missing: {gapText(gap.reason, gap.after?.offset, gap.until?.offset)}</p>
      )}
      {answer !== undefined && messages.length === 0 ? (
        <p class="empty">Nothing is kept of this channel here.</p>
      ) : (
        <ol class="messages" aria-label="Messages, the newest first">
          {messages.map((message) => (
            <MessageItem key={message.id} message={message} />
          ))}
        </ol>
      )}
      {may("manage") ? (
        <Confirm
          button="Remove history"
          question={
            <>
              Remove every message that is kept of <Name of={channel} />? They cannot be brought
              back.
            </>
          }
          act={async () => {
            await api.call("RemoveHistory", { channel });
            ask();
          }}
        />
      ) : null}
    </section>
  );
}

function Members({ channel }: { readonly channel: string }) {
  const { answer, problem } = useAnswer(
    (api, signal) => api.call("Presence", { channel, limit: 500 }, signal),
    channel,
    LOOK_MS,
  );
  const { members = [], total = 0 } = answer ?? {};
  return (
    <section>
      <Problem text={problem} />
      {answer === undefined ? null : (
        <p class="quiet">
          {countText(total)} {total === 1 ? "member" : "members"}
          {total > members.length ? `, of which ${members.length} are shown` : ""}.
        </p>
      )}
      {members.length === 0 ? null : (
        <table>
          <caption class="hidden">Members</caption>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Client</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {members.map(
              ({
                user_id: user = "",
                client_id: client = "",
                session_id: session = "",
                time = 0,
              }) => (
                <tr key={`${user} ${client} ${session}`}>
                  <th scope="row">
                    {user === "" ? (
                      <span class="quiet">nobody in particular</span>
                    ) : (
                      <a href={hashOf({ view: "sessions", user })}>
                        <Name of={user} />
                      </a>
                    )}
                  </th>
                  <td>
                    <Name of={client || session} />
                  </td>
                  <td>
                    <Time at={time} />
                  </td>
                </tr>
              ),
            )}
          </tbody>
        </table>
      )}
    </section>
  );
}
