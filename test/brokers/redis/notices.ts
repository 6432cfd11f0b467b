/** What a node hears of a channel and reads of its log, and what it hands over, in a line each. */
import { create } from "@bufbuild/protobuf";
import type { CatchUp, Delivery } from "../../../src/brokers/redis/channel/cursor-state.ts";
import type { EntryNotice, MemberNotice, Place } from "../../../src/brokers/redis/reply.ts";
import {
  type Entry,
  EntrySchema,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

/** Lives of a log are called e1, e2 and so on. */
export function place(epoch: string, offset: number): Place {
  return { epoch, generation: Number(epoch.slice(1)), offset };
}

export function entries(...offsets: readonly number[]): Entry[] {
  return offsets.map((offset) => create(EntrySchema, { offset: BigInt(offset) }));
}

export function entry(offset: number, epoch = "e1", bytes = 10): EntryNotice {
  const [one] = entries(offset);
  if (one === undefined) throw new Error("there is one");
  return { kind: "entry", place: place(epoch, offset), entry: one, bytes };
}

/** A change of presence after another one. */
export function change(generation: number, previous: number, epoch = "e1"): MemberNotice {
  const member = { userId: "ann", clientId: "", sessionId: "", time: 1 };
  const its = { member, joined: true, generation };
  return { kind: "presence", place: place(epoch, 0), change: its, previous, bytes: 10 };
}

/** What was read of a log with this head. */
export function found(
  head: Place,
  offsets: readonly number[] = [],
  others: Partial<CatchUp> = {},
): CatchUp {
  const read = { tail: [], entries: entries(...offsets) };
  return { place: head, presence: 0, reason: "head_trimmed", ...read, ...others };
}

/** `e1:3-5` are entries, `+9` is a change and `all 9` a snapshot, by their generations. */
export function line(delivery: Delivery): string {
  switch (delivery.kind) {
    case "entries":
      return `${delivery.epoch}:${delivery.entries.map(({ offset }) => offset).join(",")}`;
    case "gap": {
      const { reason, after, until } = delivery.gap;
      return `${reason} ${after?.epoch}:${after?.offset} ${until.epoch}:${until.offset}`;
    }
    case "presence":
      return delivery.changes.map(({ generation }) => `+${generation}`).join(" ");
    case "snapshot":
      return `all ${delivery.snapshot.generation}`;
  }
}
