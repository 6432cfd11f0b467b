/** Rows of the self-hosted server. */
import { ALL_KINDS, messageLoop } from "../dialects/messageloop.ts";
import type { Row } from "../row.ts";
import { AT_ONCE, connectRow } from "./connect.ts";
import { idleRow } from "./idle.ts";
import { isBareOr, isOurs, publishRow, speaks } from "./publish.ts";
import { recoverRow } from "./recover.ts";

const PROTO = [messageLoop({ encoding: "proto" })];
const V1 = [messageLoop({ extended: false })];
const PROTO_V1 = [messageLoop({ encoding: "proto", extended: false })];
const COMPACT = [messageLoop({ compact: true })];
const ONE_PATTERN = [messageLoop({ patterns: 1 })];
const MANY_PATTERNS = [messageLoop({ patterns: 100 })];

/** What a publish costs in the other kinds. */
const ONE_TO_ONE_KINDS: readonly Row[] = [
  ["proto", "protobuf", PROTO, "proto"] as const,
  ["v1", "JSON of v1", V1, "json"] as const,
  ["proto-v1", "protobuf of v1", PROTO_V1, "proto"] as const,
].map(([name, kind, speaking, encoding]) =>
  publishRow(
    `one-to-one-${name}`,
    `one publisher to one subscriber, ${kind}`,
    { load: { subscribers: 1 }, apart: true, speaking, window: 32, rate: 2_000 },
    isBareOr(encoding),
  ),
);

export const SERVER_ROWS: readonly Row[] = [
  publishRow("fan-out-1", "a publisher that is its only subscriber", {
    load: { subscribers: 1 },
    window: 32,
    rate: 2_000,
  }),
  publishRow("fan-out-100", "100 subscribers", {
    load: { subscribers: 100 },
    window: 32,
    rate: 400,
  }),
  publishRow("fan-out-1000", "1,000 subscribers", {
    load: { subscribers: 1_000 },
    window: 32,
    rate: 50,
  }),
  publishRow(
    "fan-out-1000-proto",
    "1,000 subscribers, protobuf",
    { load: { subscribers: 1_000 }, speaking: PROTO, window: 32, rate: 50 },
    speaks("proto"),
  ),
  publishRow(
    "fan-out-1000-v1",
    "1,000 subscribers, JSON of v1",
    { load: { subscribers: 1_000 }, speaking: V1, window: 32, rate: 50 },
    isBareOr("json"),
  ),
  publishRow("fan-out-1000-compact", "1,000 subscribers, in compact frames", {
    load: { subscribers: 1_000 },
    speaking: COMPACT,
    window: 32,
    rate: 50,
  }),
  publishRow("fan-out-1000-kinds", "1,000 subscribers, JSON and protobuf, v1 and extended", {
    load: { subscribers: 1_000 },
    speaking: ALL_KINDS,
    window: 32,
    rate: 50,
  }),
  publishRow("one-to-one", "one publisher to one subscriber", {
    load: { subscribers: 1 },
    apart: true,
    window: 32,
    rate: 2_000,
  }),
  ...ONE_TO_ONE_KINDS,
  publishRow("many-publishers", "50 clients on one channel, each of them publishes", {
    load: { subscribers: 50, publishers: 50 },
    window: 50,
    rate: 800,
  }),
  publishRow("many-channels", "1,000 channels with one subscriber each", {
    load: { subscribers: 1_000, channels: 1_000, publishers: 1_000 },
    window: 64,
    rate: 2_000,
  }),
  publishRow("latency", "10 subscribers, JSON and protobuf, v1 and extended", {
    load: { subscribers: 10 },
    speaking: ALL_KINDS,
    apart: true,
    window: 4,
    rate: 500,
  }),
  publishRow(
    "latency-1000",
    "1,000 subscribers, 100 publishes a second",
    { load: { subscribers: 1_000 }, apart: true, window: 4, rate: 100 },
    isBareOr("json"),
  ),
  publishRow(
    "pattern-fan-out",
    "1,000 subscribers of a pattern",
    { load: { subscribers: 1_000 }, speaking: ONE_PATTERN, window: 32, rate: 50 },
    isOurs,
  ),
  publishRow(
    "many-patterns",
    "100 clients with 100 patterns each, one of which the publish is for",
    {
      load: { subscribers: 100, channels: 100, publishers: 100 },
      speaking: MANY_PATTERNS,
      window: 64,
      rate: 2_000,
    },
    isOurs,
  ),
  connectRow(
    "connect-serial",
    "800 clients that connect and subscribe one after the other",
    { subscribers: 100, channels: 100, together: 1 },
    8,
  ),
  connectRow(
    "connect-burst",
    "2,000 clients that connect and subscribe, 500 at a time",
    { subscribers: AT_ONCE, channels: 100, together: AT_ONCE },
    4,
  ),
  recoverRow(
    "recover-storm",
    "1,000 clients that come back, 500 at a time, each has missed 10 messages",
    {
      subscribers: 1_000,
      channels: 100,
      missed: 10,
      rounds: 3,
    },
  ),
];

/**
 * What a delivery by server-sent events costs, beside one by WebSocket in JSON to whoever subscribes to the same
 * server. Publishers have a WebSocket in both.
 */
export const EVENTS_ROWS: readonly Row[] = [1, 100, 1_000].map((subscribers) =>
  publishRow(
    `events-${subscribers}`,
    `${subscribers.toLocaleString("en")} readers of server-sent events, beside as many WebSockets`,
    { load: { subscribers }, apart: true, window: 32, rate: 50_000 / Math.max(25, subscribers) },
  ),
);

/** What rules of access cost a publish, beside the same server without any. */
export const ACCESS_ROWS: readonly Row[] = [
  publishRow("access-rules-10", "one publisher to one subscriber, with ten rules of access", {
    load: { subscribers: 1 },
    apart: true,
    window: 32,
    rate: 2_000,
  }),
];

/** So many connections take long to come. */
export const LARGE_ROWS: readonly Row[] = [
  publishRow("fan-out-10000", "10,000 subscribers", {
    load: { subscribers: 10_000 },
    window: 8,
    rate: 5,
  }),
];

/** What RPCs cost: each client has a channel of its own, and gets what it has sent. */
export const RPC_ROWS: readonly Row[] = [
  publishRow("rpc", "50 clients that call a function", {
    load: { subscribers: 50, channels: 50, publishers: 50, unordered: true },
    window: 50,
    rate: 2_000,
  }),
];

/** What it costs to read a token, beside clients that show none. */
export const TOKEN_ROWS: readonly Row[] = [
  connectRow(
    "connect-jwt",
    "800 clients that connect one after the other with a token of HS256, beside as many without one",
    { subscribers: 100, channels: 100, together: 1 },
    8,
  ),
];

/** The same to a backend over HTTP. */
export const RPC_HTTP_ROWS: readonly Row[] = [
  publishRow("rpc-http", "50 clients that call a backend over HTTP", {
    load: { subscribers: 50, channels: 50, publishers: 50, unordered: true },
    window: 25,
    rate: 1_000,
  }),
];

/** What stays, so that everything before is missing. */
export const IDLE_ROWS: readonly Row[] = [
  idleRow("idle", "memory of a connection with one channel", 5_000),
];
