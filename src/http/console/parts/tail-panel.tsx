/** A live tail on the page: bounded, and it says what it leaves out. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { openTail } from "../tail.ts";
import { MOST_TAILED, TailBuffer, type Tailed } from "../tail-buffer.ts";
import { countText, rateText } from "../text.ts";
import { MessageItem } from "./message.tsx";
import { Name, Problem, Time } from "./text.tsx";

/** How often what has come is drawn, in milliseconds: often enough for eyes, and seldom enough for a busy channel. */
const DRAW_MS = 250;

export function TailPanel({
  name,
  pattern = false,
}: {
  readonly name: string;
  readonly pattern?: boolean;
}) {
  const { api } = useOperator();
  const [tailed, setTailed] = useState<Tailed>(() => new TailBuffer().look(0));
  const [state, setState] = useState<readonly [state: string, problem: string]>(["connecting", ""]);
  const [isPaused, setPaused] = useState(false);
  const buffer = useRef(new TailBuffer());
  const paused = useRef(false);
  paused.current = isPaused;
  useEffect(() => {
    const own = new TailBuffer();
    buffer.current = own;
    const end = openTail(api.key, name, {
      message: (message) => own.add(message),
      gap: (gap) => own.gap(gap, Date.now()),
      state: (now, problem) => setState([now, problem]),
    });
    let came = -1;
    const draw = (): void => {
      const look = own.look(performance.now());
      if (paused.current)
        setTailed((before) => ({
          ...look,
          messages: before.messages,
          leftOut: look.came - before.messages.length,
        }));
      else if (look.came !== came || look.rate > 0 || look.gaps.length > 0) setTailed(look);
      came = look.came;
    };
    const timer = setInterval(draw, DRAW_MS);
    return () => {
      clearInterval(timer);
      end();
    };
  }, [api, name]);
  const { came, gaps, leftOut, messages, rate } = tailed;
  const clear = (): void => {
    buffer.current.clear();
    setTailed(buffer.current.look(performance.now()));
  };
  const [now, problem] = state;
  return (
    <section>
      <div class="row">
        <span
          class="status"
          role="status"
          data-state={
            now === "subscribed" ? "connected" : now === "refused" ? "closed" : "connecting"
          }
        >
          {now === "subscribed" ? "live" : now}
        </span>
        <button
          type="button"
          class="plain"
          aria-pressed={isPaused}
          onClick={() => setPaused(!isPaused)}
        >
          Pause
        </button>
        <button type="button" class="plain" onClick={clear}>
          Clear
        </button>
      </div>
      <p class="quiet counts">
        {countText(came)} came, {rateText(rate)}.{" "}
        {leftOut > 0
          ? `${countText(leftOut)} are left out: the newest ${MOST_TAILED} are shown${isPaused ? ", as they were when you paused" : ""}.`
          : "None is left out."}
      </p>
      <Problem text={problem} />
      {gaps.length > 0 ? (
        <ul class="gaps" aria-label="Gaps">
          {gaps.map((gap) => (
            <li key={`${gap.at}${gap.channel}${gap.until?.offset}`}>
              <Time at={gap.at} /> <Name of={gap.channel} /> misses messages:{" "}
              {gapText(gap.reason, gap.after?.offset, gap.until?.offset)}
            </li>
          ))}
        </ul>
      ) : null}
      {messages.length === 0 ? (
        <p class="empty">Nothing has come yet. What is published from now on is shown here.</p>
      ) : (
        <ol class="messages" aria-label="Messages, the newest first">
          {messages.map((message) => (
            <MessageItem
              key={`${message.channel} ${message.id}`}
              message={message}
              channel={pattern}
            />
          ))}
        </ol>
      )}
    </section>
  );
}

export function gapText(
  reason: string | undefined,
  after: number | undefined,
  until: number | undefined,
): string {
  const which = until === undefined ? "" : `, #${(after ?? 0) + 1} to #${until}`;
  return `${reason ?? "unavailable"}${which}`;
}
