/** What a host has saved when its node falls asleep. */
import type { Channel } from "./channel.ts";
import { check } from "./facts.ts";
import type { Connection } from "./host.ts";

/** What a session's record and marks say of it. */
export function checkRecord({ model, record, marks, session }: Connection): void {
  const connected = model.state === "connected";
  check(record?.connected === connected, `the record says connected=${record?.connected}`);
  if (!connected) return;
  check(record.extended === model.extended, "the record has another kind");
  check(`${record.capabilities}` === `${model.capabilities}`, "the record has other capabilities");
  for (const { channel, ephemeral, epoch } of record.subscriptions) {
    const stream = model.streams.get(channel);
    check(stream?.ephemeral === ephemeral, `${channel} is recorded as ephemeral, or is not`);
    const hears = model.capabilities.includes("recovery");
    check(!hears || stream.epoch === epoch, `${channel} is recorded in ${epoch}`);
  }
  const saved = new Set(record.subscriptions.map(({ channel }) => channel));
  for (const name of model.streams.keys()) check(saved.delete(name), `${name} is not recorded`);
  check(saved.size === 0, `${[...saved]} is recorded`);
  const { sent, received, unheard, seen } = session?.marks() ?? {};
  check(sent === BigInt(model.flow.sent) && received === BigInt(model.flow.received), "other sums");
  const same = unheard === BigInt(model.flow.unheard) || model.flow.heardAt > 0;
  check(same, `${unheard} bytes are unheard of, not ${model.flow.unheard}`);
  check(marks?.sent === sent && marks?.received === received, "the sums are not saved");
  check(seen === BigInt(model.seen), "the last sign of life is another");
  check(Number(seen) - Number(marks.seen) < 15_000, "the mark of life is too old");
}

/** How far the node is in each channel stands in the marks of one of its sessions. */
export function checkMemory(connections: readonly Connection[], channels: Iterable<Channel>): void {
  const connected = connections.filter(({ alive, model }) => {
    return alive && model.state === "connected";
  });
  const seen = connected.flatMap(({ marks }) => marks?.seenChannels ?? []);
  for (const channel of channels) {
    const { name } = channel;
    if (!channel.known) continue;
    const records = seen.filter((record) => record.channel === name);
    const { handed, toldGeneration } = channel;
    const right = records.some(({ epoch, offset, generation }) => {
      const here = epoch === handed.epoch && Number(offset) === handed.offset;
      return here && Number(generation) === toldGeneration;
    });
    check(right, `${name} is not remembered, but ${records.length} other places`);
  }
}
