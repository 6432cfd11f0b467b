/** What a process reports of itself, beside what its engine counts. */
import type { HistogramStats } from "../engine/counters.ts";
import { type BackendStats, CALL_OUTCOMES, type LaneStats } from "../proxy/calls/counts.ts";
import { CALL_CODES, type CallStats } from "./api/call-counts.ts";
import { type Family, histogram, type Sample } from "./metrics-text.ts";

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

export const PROCESS_FAMILIES: readonly Family<ProcessFacts>[] = [
  {
    name: "messageloop_info",
    type: "gauge",
    help: "Always 1; the labels tell the version and the kind of host.",
    read: ({ version, host }) => [{ labels: { version, host }, value: 1 }],
  },
  {
    name: "messageloop_uptime_seconds",
    type: "gauge",
    help: "Seconds since the process started.",
    read: ({ uptimeSeconds }) => uptimeSeconds,
  },
  {
    name: "messageloop_connections",
    type: "gauge",
    help: "Connections of clients now, those that are being closed included.",
    read: ({ connections }) => connections,
  },
  {
    name: "messageloop_tcp_connections",
    type: "gauge",
    help: "TCP connections now, by listener, those that have sent nothing included.",
    read: ({ sockets }) =>
      LISTENERS.map((listener) => ({ labels: { listener }, value: sockets[listener] })),
  },
  {
    name: "messageloop_event_loop_lag_seconds",
    type: "histogram",
    help: "How late the event loop came to a timer, which is how long whatever happened had to wait.",
    read: ({ lag }) => histogram({}, lag),
  },
  {
    name: "messageloop_process_resident_memory_bytes",
    type: "gauge",
    help: "Memory that the process has of the machine.",
    read: ({ memory }) => memory.resident,
  },
  {
    name: "messageloop_process_heap_bytes",
    type: "gauge",
    help: "Memory of JavaScript objects, garbage included.",
    read: ({ memory }) => memory.heap,
  },
  {
    name: "messageloop_process_external_memory_bytes",
    type: "gauge",
    help: "Memory of buffers outside the heap.",
    read: ({ memory }) => memory.external,
  },
  {
    name: "messageloop_uncaught_errors_total",
    type: "counter",
    help: "Errors that nobody has caught, which are faults of the software, by kind.",
    read: ({ uncaught }) =>
      (["exception", "rejection"] as const).map((kind) => ({
        labels: { kind },
        value: uncaught[kind],
      })),
  },
  {
    name: "messageloop_log_lines_lost_total",
    type: "counter",
    help: "Lines of the log that could not be written.",
    read: ({ logLinesLost }) => logLinesLost,
  },
  {
    name: "messageloop_api_calls_total",
    type: "counter",
    help: "Calls of the server API, by method and the code of their answer.",
    read: ({ apiCalls }) =>
      Object.entries(apiCalls).flatMap(([method, counts]) =>
        CALL_CODES.map((code) => ({ labels: { method, code }, value: counts[code] })),
      ),
  },
  {
    name: "messageloop_redis_ready",
    type: "gauge",
    help: "1 while this process hears all that is published, 0 while Redis is lost.",
    read: ({ redis }) => sample(redis && Number(redis.ready)),
  },
  {
    name: "messageloop_redis_lost_seconds",
    type: "gauge",
    help: "Seconds since Redis was lost; 0 while it is ready.",
    read: ({ redis }) => sample(redis?.lostSeconds),
  },
  {
    name: "messageloop_redis_losses_total",
    type: "counter",
    help: "How often Redis was lost.",
    read: ({ redis }) => sample(redis?.losses),
  },
  {
    name: "messageloop_redis_stray_messages_total",
    type: "counter",
    help: "Messages in Pub/Sub on names of this deployment that none of its processes has published.",
    read: ({ redis }) => sample(redis?.stray),
  },
  {
    name: "messageloop_backend_calls_total",
    type: "counter",
    help: "Calls of backends over a network, by how they ended; calls are rpc, access or events.",
    read: ({ backends }) =>
      lanes(backends, ({ outcomes }) =>
        CALL_OUTCOMES.map((outcome) => ({ labels: { outcome }, value: outcomes[outcome] })),
      ),
  },
  {
    name: "messageloop_backend_retries_total",
    type: "counter",
    help: "Calls of backends that were sent a second time.",
    read: ({ backends }) => lanes(backends, ({ retries }) => [{ value: retries }]),
  },
  {
    name: "messageloop_backend_calls_waiting",
    type: "gauge",
    help: "Calls of backends that wait now for others to end.",
    read: ({ backends }) => lanes(backends, ({ waiting }) => [{ value: waiting }]),
  },
  {
    name: "messageloop_backend_circuit_open",
    type: "gauge",
    help: "1 while a backend is not asked because it fails, 0 while it is.",
    read: ({ backends }) =>
      lanes(backends, ({ circuit }) => [{ value: circuit === "closed" ? 0 : 1 }]),
  },
];

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
