/** Requests that a session understands, with values that it may not: extreme numbers, strange names, no value at all. */
import { randomEvent } from "../../test/protocol/fuzz-frames.ts";
import type { Inbound, SubscriptionInit } from "../../test/support/client.ts";
import type { SeededRandom } from "../../test/support/random.ts";

const NAMES = [
  "a",
  "a.b",
  "b",
  "c",
  "*",
  "a.*",
  "**",
  "a.**",
  "",
  ".",
  "a..b",
  "*a",
  "\u0000",
  "__proto__",
];
const OFFSETS = [0n, 1n, 2n, 100n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const COUNTS = [0, 1, 2, 256, 2 ** 31 - 1];
const CAPABILITIES = [
  "recovery",
  "history",
  "presence",
  "credit",
  "refresh",
  "batch",
  "disconnect",
  "patterns",
  "x",
  "",
];

/** One request. The first of a session is most of the time a connect. */
export function anyRequest(
  random: SeededRandom,
  first: boolean,
  epochs: readonly string[],
): Inbound {
  const name = (): string =>
    random.chance(0.8) ? random.pick(NAMES.slice(0, 8)) : random.pick(NAMES);
  const position = () => ({
    epoch: random.pick(["", "e", ...epochs]),
    offset: random.pick(OFFSETS),
  });
  const subscription = (): SubscriptionInit => ({
    channel: name(),
    ephemeral: random.chance(0.1),
    token: random.pick(["", "t"]),
    recover: random.chance(0.4),
    ...(random.chance(0.3) ? { since: position() } : {}),
    ...(random.chance(0.2) ? { rewind: random.pick(COUNTS) } : {}),
    ...(random.chance(0.2) ? { positions: { [name()]: position(), [name()]: position() } } : {}),
    ...(random.chance(0.05) ? { position: position() } : {}),
  });
  const subscriptions = (): SubscriptionInit[] =>
    Array.from({ length: random.int(4) }, () => subscription());
  const event = () => randomEvent(random);
  const requestId = (): string => random.pick(["", "s1", "s2", "s3"]);
  const connect = () => ({
    case: "connect" as const,
    value: {
      clientId: random.pick(["", "c", "d"]),
      clientType: random.pick(["", "sdk"]),
      version: "1",
      subscriptions: random.chance(0.5) ? subscriptions() : [],
      capabilities: random.chance(0.5) ? CAPABILITIES.filter(() => random.chance(0.5)) : [],
    },
  });
  const envelopes: readonly (() => Inbound["envelope"])[] = [
    connect,
    () => ({ case: "subscribe", value: { subscriptions: subscriptions() } }),
    () => ({ case: "subscribe", value: { subscriptions: subscriptions() } }),
    () => ({ case: "unsubscribe", value: { subscriptions: subscriptions() } }),
    () => ({ case: "publish", value: event() }),
    () => ({ case: "publish", value: event() }),
    () => ({ case: "rpcRequest", value: event() }),
    () => ({ case: "ping", value: {} }),
    () => ({
      case: "subRefresh",
      value: { channels: [name(), name()], tokens: random.chance(0.5) ? { [name()]: name() } : {} },
    }),
    () => ({ case: "refresh", value: { token: name() } }),
    () => ({ case: "surveyRequest", value: { requestId: requestId(), payload: event() } }),
    () => ({ case: "surveyResponse", value: { requestId: requestId(), payload: event() } }),
    () => ({ case: "received", value: { bytes: random.pick(OFFSETS) } }),
    () => ({
      case: "historyRequest",
      value: {
        channel: name(),
        limit: random.pick([...COUNTS, -1, -(2 ** 31)]),
        reverse: random.chance(0.3),
        ...(random.chance(0.6) ? { since: position() } : {}),
      },
    }),
    () => ({ case: "presenceRequest", value: { channel: name() } }),
    () => ({ case: undefined }),
  ];
  const envelope = first && random.chance(0.9) ? connect() : random.pick(envelopes)();
  return {
    id: random.pick(["", "1", "\u{1f600}"]),
    channel: name(),
    method: random.pick(["", "m"]),
    metadata: random.chance(0.2) ? { k: "v", "": "\u0000" } : {},
    time: random.pick(OFFSETS),
    envelope: envelope ?? { case: undefined },
  };
}
