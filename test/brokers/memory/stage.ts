/** A memory broker with turns, timers, time and names of epochs in the hand of the test. */
import { create } from "@bufbuild/protobuf";
import { MemoryBroker, type MemoryBrokerOptions } from "../../../src/brokers/memory/broker.ts";
import type { MemberSession } from "../../../src/channels/presence.ts";
import { type ChannelRule, DEFAULT_CHANNEL_RULES, RuleBook } from "../../../src/channels/rules.ts";
import { EntryBodySchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

export const body = create(EntryBodySchema, { event: new Uint8Array([1]) });

/** @param rules what differs from the default, by pattern */
export function stage(
  rules: Readonly<Record<string, Partial<ChannelRule["rules"]>>> = {},
  bounds: Pick<MemoryBrokerOptions, "maxChannels" | "maxRetainedBytes"> = {},
) {
  const clock = { time: 1_000, now: () => clock.time };
  const turns: (() => void)[] = [];
  type Timer = { readonly at: number; readonly callback: () => void };
  const timers: Timer[] = [];
  /** Those by which the broker looks after its channels. */
  const sweeps: Timer[] = [];
  let epochs = 0;
  const broker = new MemoryBroker({
    clock,
    random: {
      epoch: () => {
        epochs += 1;
        return `epoch${epochs}`;
      },
    },
    nextTurn: (callback) => turns.push(callback),
    timers: {
      after: (ms, callback) => {
        const list = callback.name === "sweepNext" ? sweeps : timers;
        list.push({ at: clock.time + ms, callback });
        return () => {};
      },
    },
    ...bounds,
    rules: new RuleBook(
      Object.entries(rules).map(([pattern, changed]) => ({
        pattern,
        rules: { ...DEFAULT_CHANNEL_RULES, ...changed },
      })),
    ),
  });
  /** What the node was told, in its order. */
  const told: string[] = [];
  broker.start({
    publications: (channel, epoch, entries) => {
      told.push(`${channel} ${epoch} ${entries.map(({ offset }) => offset).join(",")}`);
    },
    transients: (channel, messages) => {
      told.push(`${channel} transient ${messages.map(({ id }) => id).join(",")}`);
    },
    presence: (channel, epoch, changes) => {
      for (const { member, joined, generation } of changes) {
        const name = `${member.userId || member.clientId || member.sessionId}`;
        told.push(`${channel} ${epoch} ${joined ? "join" : "leave"} ${name} ${generation}`);
      }
    },
    gap: (channel, { reason }) => told.push(`${channel} gap ${reason}`),
    patternGap: (pattern, { reason }) => told.push(`${pattern} gap ${reason}`),
    presenceLost: (channel) => told.push(`${channel} presence lost`),
  });
  const turn = () => {
    for (const callback of turns.splice(0)) callback();
  };
  /** Time passes, and the timers that are due go off one after the other. */
  const pass = (ms: number) => {
    const end = clock.time + ms;
    for (;;) {
      const [due] = [...timers, ...sweeps]
        .filter(({ at }) => at <= end)
        .sort((one, other) => one.at - other.at);
      if (due === undefined) break;
      for (const list of [timers, sweeps])
        if (list.includes(due)) list.splice(list.indexOf(due), 1);
      clock.time = Math.max(clock.time, due.at);
      due.callback();
    }
    clock.time = end;
  };
  return { broker, clock, told, turn, turns, timers, sweeps, pass };
}

/** Publishes so many entries, each under a key of its own. */
export async function publishes(broker: MemoryBroker, channel: string, count: number) {
  for (let i = 0; i < count; i++) await broker.publish(channel, { key: crypto.randomUUID(), body });
}

export function session(sessionId: string, userId = "", clientId = ""): MemberSession {
  return { sessionId, userId, clientId };
}
