/** A trace on the page: bounded, and it says what it leaves out. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { failureText, type TracedFrame } from "../server-api.ts";
import { bytesText, countText, visibleLines } from "../text.ts";
import { Lines } from "./lines.tsx";
import { Name, Problem, Time } from "./text.tsx";

/** What a trace is about. */
export type Traced = "user" | "channel";

/** Frames that are kept to be shown; older ones are left out, and counted. */
const MOST_FRAMES = 200;
/** Characters of a frame on its line. */
const PREVIEW = 160;

interface TracePanelProps {
  readonly of: Traced;
  readonly name: string;
  readonly minutes: number;
  readonly payloads: boolean;
}

interface Numbered {
  readonly frame: TracedFrame;
  readonly number: number;
}

interface Shown {
  /** The newest first. */
  readonly frames: readonly Numbered[];
  readonly came: number;
  readonly unreached: readonly string[];
}

/** States of a trace, with those of a connection that look like them. */
const STATES = { beginning: "connecting", tracing: "connected", ended: "closed" } as const;

const NOTHING: Shown = { frames: [], came: 0, unreached: [] };

export function TracePanel({ of, name, minutes, payloads }: TracePanelProps) {
  const { api } = useOperator();
  const [shown, setShown] = useState(NOTHING);
  const [problem, setProblem] = useState<string | undefined>();
  const [state, setState] = useState<keyof typeof STATES>("beginning");
  const controller = useRef(new AbortController());
  useEffect(() => {
    const own = new AbortController();
    controller.current = own;
    const asked = { [of]: name, payloads, duration_ms: minutes * 60_000 };
    const read = async (): Promise<void> => {
      for (let id = ""; ; ) {
        const answer = await api.call("Trace", { ...asked, trace_id: id }, own.signal);
        const { frames = [], left_out: leftOut = 0, unreached = [], ended = false } = answer;
        setShown((before) => {
          const fresh = frames.map((frame, i) => ({ frame, number: before.came + i }));
          return {
            frames: [...fresh.reverse(), ...before.frames].slice(0, MOST_FRAMES),
            came: before.came + frames.length + Number(leftOut),
            unreached,
          };
        });
        if (ended) return;
        setState("tracing");
        id = answer.trace_id;
      }
    };
    read()
      .catch((error: unknown) => {
        if (!own.signal.aborted) setProblem(failureText(error));
      })
      .finally(() => setState("ended"));
    return () => own.abort();
  }, [api, of, name, minutes, payloads]);
  const { came, frames, unreached } = shown;
  const leftOut = came - frames.length;
  return (
    <section>
      <div class="row">
        <span class="status" role="status" data-state={STATES[state]}>
          {state}
        </span>
        <button
          type="button"
          class="plain"
          disabled={state === "ended"}
          onClick={() => controller.current.abort()}
        >
          Stop
        </button>
      </div>
      <p class="quiet counts">
        {countText(came)} frames of the {of} <Name of={name} />.{" "}
        {leftOut > 0 ? `${countText(leftOut)} are left out.` : "None is left out."}
      </p>
      <Problem text={problem} />
      {unreached.map((node) => (
        <Problem key={node} text={`the node ${node} has not answered`} />
      ))}
      {frames.length === 0 ? (
        <p class="empty">No frame has come yet.</p>
      ) : (
        <ol class="messages" aria-label="Frames, the newest first">
          {frames.map(({ frame, number }) => (
            <FrameItem key={number} frame={frame} />
          ))}
        </ol>
      )}
    </section>
  );
}

function FrameItem({ frame }: { readonly frame: TracedFrame }) {
  const [open, setOpen] = useState(false);
  const { time = 0, inbound = false, kind = "", bytes = 0, outcome = "" } = frame;
  const { channel = "", payload = "" } = frame;
  return (
    <li class="message">
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <Time at={time} />
          <span class="type">{inbound ? "client" : "server"}</span>
          <span class="kind">
            <Name of={kind === "" ? "unreadable" : kind} most={80} />
          </span>
          <span class="type">
            <Name of={outcome} most={80} />
          </span>
          <span class="type">{bytesText(bytes)}</span>
          <span class="of">
            <Name of={channel} most={80} />
          </span>
          <span class="preview">
            <Name of={payload.slice(0, PREVIEW)} most={PREVIEW} />
          </span>
        </summary>
        {open ? (
          <div class="whole">
            {payload === "" ? null : (
              // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard.
              <pre tabIndex={0}>{visibleLines(payload)}</pre>
            )}
            <Lines title="Frame" lines={linesOf(frame)} />
          </div>
        ) : null}
      </details>
    </li>
  );
}

function linesOf({
  channel,
  id,
  session_id: session,
  user_id: user,
  client_id: client,
}: TracedFrame) {
  return Object.entries({ channel, id, session, user, client }).flatMap(
    ([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]),
  );
}
