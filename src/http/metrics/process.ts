/** What a process reports of itself, beside what its engine counts. */
import type { HistogramStats } from "../../engine/counters.ts";
import { type BackendStats, CALL_OUTCOMES, type LaneStats } from "../../proxy/calls/counts.ts";
import { CALL_CODES, type CallStats } from "../api/call-counts.ts";
import { type Families, histogram, type Sample } from "./text.ts";

export const LISTENERS = ["websocket", "grpc", "http"] as const;

/** Where the process stands, at the moment it is asked. */
export interface ProcessFacts {
  /** Version of the software. */
  readonly version: string;
  /** The kind of host that the engine runs on. */
  readonly host: string;
  readonly uptimeSeconds: number;
  /** Connections of clients, those that are being closed included. */
  readonly connections: number;
  /** TCP connections by listener, those that have not sent anything included. */
  readonly sockets: Readonly<Record<(typeof LISTENERS)[number], number>>;
  /** How late timers came. */
  readonly lag: HistogramStats;
  /** Bytes. */
  readonly memory: {
    readonly resident: number;
    readonly heap: number;
    readonly external: number;
  };
  /** Errors that were not caught. */
  readonly uncaught: { readonly exception: number; readonly rejection: number };
  /** Lines of the log that were lost. */
  readonly logLinesLost: number;
  /** How calls of the server API have ended. */
  readonly apiCalls: CallStats;
  /** Undefined where channels are not kept in Redis. */
  readonly redis: RedisFacts | undefined;
  /** What calls of the backends of the configuration have come to. */
  readonly backends: readonly BackendStats[];
}

export interface RedisFacts {
  readonly ready: boolean;
  /** How long it has been away, in seconds; 0 while it is ready. */
  readonly lostSeconds: number;
  /** How often it was lost. */
  readonly losses: number;
  /** Messages in Pub/Sub on our names that are nothing of ours. */
  readonly stray: number;
}

export const PROCESS_FAMILIES: Families<ProcessFacts> = {
  messageloop_info: [
    "Always 1; the labels tell the version and the kind of host.",
    ({ version, host }) => [{ labels: { version, host }, value: 1 }],
  ],
  messageloop_uptime_seconds: ["Seconds since the process started.", "uptimeSeconds"],
  messageloop_connections: [
    "Connections of clients now, those that are being closed included.",
    "connections",
  ],
  messageloop_tcp_connections: [
    "TCP connections now, by listener, those that have sent nothing included.",
    ({ sockets }) =>
      LISTENERS.map((listener) => ({ labels: { listener }, value: sockets[listener] })),
  ],
  messageloop_event_loop_lag_seconds: [
    "How late the event loop came to a timer, which is how long whatever happened had to wait.",
    ({ lag }) => histogram({}, lag),
  ],
  messageloop_process_resident_memory_bytes: [
    "Memory that the process has of the machine.",
    ({ memory }) => memory.resident,
  ],
  messageloop_process_heap_bytes: [
    "Memory of JavaScript objects, garbage included.",
    ({ memory }) => memory.heap,
  ],
  messageloop_process_external_memory_bytes: [
    "Memory of buffers outside the heap.",
    ({ memory }) => memory.external,
  ],
  messageloop_uncaught_errors_total: [
    "Errors that nobody has caught, which are faults of the software, by kind.",
    ({ uncaught }) =>
      (["exception", "rejection"] as const).map((kind) => ({
        labels: { kind },
        value: uncaught[kind],
      })),
  ],
  messageloop_log_lines_lost_total: ["Lines of the log that could not be written.", "logLinesLost"],
  messageloop_api_calls_total: [
    "Calls of the server API, by method and the code of their answer.",
    ({ apiCalls }) =>
      Object.entries(apiCalls).flatMap(([method, counts]) =>
        CALL_CODES.map((code) => ({ labels: { method, code }, value: counts[code] })),
      ),
  ],
  messageloop_redis_ready: [
    "1 while this process hears all that is published, 0 while Redis is lost.",
    ({ redis }) => sample(redis && Number(redis.ready)),
  ],
  messageloop_redis_lost_seconds: [
    "Seconds since Redis was lost; 0 while it is ready.",
    ({ redis }) => sample(redis?.lostSeconds),
  ],
  messageloop_redis_losses_total: [
    "How often Redis was lost.",
    ({ redis }) => sample(redis?.losses),
  ],
  messageloop_redis_stray_messages_total: [
    "Messages in Pub/Sub on names of this deployment that none of its processes has published.",
    ({ redis }) => sample(redis?.stray),
  ],
  messageloop_backend_calls_total: [
    "Calls of backends over a network, by how they ended; calls are rpc, access or events.",
    ({ backends }) =>
      lanes(backends, ({ outcomes }) =>
        CALL_OUTCOMES.map((outcome) => ({ labels: { outcome }, value: outcomes[outcome] })),
      ),
  ],
  messageloop_backend_retries_total: [
    "Calls of backends that were sent a second time.",
    ({ backends }) => lanes(backends, ({ retries }) => [{ value: retries }]),
  ],
  messageloop_backend_calls_waiting: [
    "Calls of backends that wait now for others to end.",
    ({ backends }) => lanes(backends, ({ waiting }) => [{ value: waiting }]),
  ],
  messageloop_backend_circuit_open: [
    "1 while a backend is not asked because it fails, 0 while it is.",
    ({ backends }) => lanes(backends, ({ circuit }) => [{ value: circuit === "closed" ? 0 : 1 }]),
  ],
};

function lanes(
  backends: readonly BackendStats[],
  read: (lane: LaneStats) => readonly Sample[],
): Sample[] {
  return backends.flatMap(({ name, lanes }) =>
    Object.entries(lanes).flatMap(([calls, lane]) =>
      read(lane).map((one) => ({ ...one, labels: { backend: name, calls, ...one.labels } })),
    ),
  );
}

function sample(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ value }];
}
