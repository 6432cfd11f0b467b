/** A trace on the page: bounded, and it says what it leaves out. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { failureText, type TracedFrame } from "../server-api.ts";
import { countText } from "../text.ts";
import { Table } from "./table.tsx";
import { Name, Problem, Time } from "./text.tsx";

/** What a trace is about. */
export type Traced = "user" | "channel";

/** Frames that are kept to be shown; older ones are left out, and counted. */
const MOST_FRAMES = 200;
/** What is shown of an event, in bytes. */
const MOST_EVENT_BYTES = 1_024;

interface TracePanelProps {
  readonly of: Traced;
  readonly name: string;
  readonly minutes: number;
  readonly payloads: boolean;
}

interface Shown {
  /** The newest first. */
  readonly frames: readonly TracedFrame[];
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
        setShown((before) => ({
          frames: [...frames.toReversed(), ...before.frames].slice(0, MOST_FRAMES),
          came: before.came + frames.length + Number(leftOut),
          unreached,
        }));
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
        <Table
          caption="Frames, the newest first"
          columns={[
            ...["Kind", "From", "At", "#Bytes", "Outcome", "Channel", "Id", "Session"],
            ...(payloads ? ["Event"] : []),
          ]}
          rows={frames.map((frame) => rowOf(frame, payloads))}
        />
      )}
    </section>
  );
}

function rowOf(frame: TracedFrame, payloads: boolean) {
  const { time = 0, inbound = false, kind = "", bytes = 0, outcome = "" } = frame;
  const { channel = "", id = "", session_id: session = "", user_id: user = "" } = frame;
  const { payload = "" } = frame;
  const cells = [
    <Name key="kind" of={kind === "" ? "unreadable" : kind} />,
    inbound ? "client" : "server",
    <Time key="time" at={time} />,
    countText(bytes),
    <Name key="outcome" of={outcome} />,
    <Name key="channel" of={channel} />,
    <Name key="id" of={id} />,
    <Name key="session" of={user === "" ? session : `${session} of ${user}`} />,
  ];
  if (payloads) cells.push(<Name key="event" of={payload} most={MOST_EVENT_BYTES} />);
  return cells;
}
