/**
 * What Redis says, mutated: answers of the scripts, and what nodes hear. A reader returns what is whole, says
 * that it is nothing of ours, or raises a RedisFailure.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { RedisFailure, type RedisReply } from "../../src/brokers/redis/ports.ts";
import {
  entriesOf,
  listOf,
  memberOf,
  noticeOf,
  numberOf,
  textOf,
} from "../../src/brokers/redis/reply.ts";
import { memberKey } from "../../src/channels/presence.ts";
import type { Entry } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { SeededRandom } from "../../test/support/random.ts";

const BODY = toBinary(
  EntryBodySchema,
  create(EntryBodySchema, {
    event: new TextEncoder().encode("event"),
    publisher: { userId: "u", clientId: "c" },
    metadata: { key: "value" },
  }),
);
const KEY = memberKey({ userId: "u", clientId: "c", sessionId: "s" });
const NOTICES: readonly Uint8Array[] = [
  joined(bytes("1 epoch 7 1700000000000\n"), BODY),
  bytes(`+1 epoch 2 1 1700000000000\n${KEY}`),
  bytes(`-1 epoch 3 2 1700000000000\n["s"]`),
  bytes("\n"),
];
const NUMBERS = [0, 1, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), Number.NaN, Number.POSITIVE_INFINITY];
const KEYS = [KEY, '["s"]', "[]", "{}", "null", "[1,2]", '[["a"],{}]', '["a","b","c"]', "[", ""];

/** One reply, or one notice. */
export function fuzzReply(random: SeededRandom): void {
  if (random.chance(0.5)) {
    checkNotice(mutatedBytes(random, random.pick(NOTICES)));
    return;
  }
  const reply = anyReply(random, 0);
  const entries = orFailure(() => entriesOf(reply));
  for (const entry of entries ?? []) checkEntry(entry);
  orFailure(() => listOf(reply));
  orFailure(() => textOf(reply));
  const number = orFailure(() => numberOf(reply));
  if (number !== undefined && typeof number !== "number") throw new Error("no number");
  const key = random.chance(0.5) ? random.pick(KEYS) : text(mutatedBytes(random, bytes(KEY)));
  const member = orFailure(() => memberOf(key, 1));
  for (const name of [member?.userId, member?.clientId, member?.sessionId]) {
    if (name !== undefined && typeof name !== "string") throw new Error("a name is no text");
  }
}

/** A notice is whole, or is none; nothing is raised, since nobody has asked. */
function checkNotice(payload: Uint8Array): void {
  const notice = noticeOf(payload);
  if (notice === undefined) return;
  whole(notice.place.generation, notice.place.offset);
  if (notice.kind === "entry") checkEntry(notice.entry);
  else whole(notice.previous, notice.change.generation, notice.change.member.time);
}

function checkEntry({ offset, time }: Entry): void {
  whole(Number(offset), Number(time));
}

function whole(...numbers: readonly number[]): void {
  for (const number of numbers) {
    if (!Number.isSafeInteger(number) || number < 0)
      throw new Error(`${number} is no number of ours`);
  }
}

function orFailure<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RedisFailure) return undefined;
    throw error;
  }
}

function anyReply(random: SeededRandom, depth: number): RedisReply {
  const kind = random.int(depth > 2 ? 3 : 6);
  if (kind === 0) return random.pick(NUMBERS);
  if (kind === 1) return mutatedBytes(random, BODY);
  if (kind === 2) return random.pick([null as unknown as RedisReply, "", "text", bytes("text")]);
  if (kind === 3) return Array.from({ length: random.int(7) }, () => anyReply(random, depth + 1));
  // Entries as a script tells them, with one of them changed.
  const parts: RedisReply[] = Array.from({ length: 1 + random.int(3) }, (_, i) => [
    i + 1,
    1_700_000_000_000 + i,
    BODY as RedisReply,
  ]).flat();
  if (random.chance(0.7)) parts[random.int(parts.length)] = anyReply(random, depth + 1);
  if (random.chance(0.1)) parts.pop();
  return parts;
}

function mutatedBytes(random: SeededRandom, original: Uint8Array): Uint8Array<ArrayBuffer> {
  let changed = Uint8Array.from(original);
  for (let count = random.int(4); count > 0; count--) {
    const at = random.int(changed.length + 1);
    const [head, tail] = [changed.subarray(0, at), changed.subarray(at)];
    switch (random.int(5)) {
      case 0:
        changed = joined(head);
        break;
      case 1:
        changed = joined(head, random.bytes(random.int(9)), tail);
        break;
      case 2:
        changed = joined(head, tail.subarray(random.int(9)));
        break;
      case 3:
        changed = joined(
          head,
          bytes(random.pick([" ", "\n", "-", "e", "9".repeat(20), "+"])),
          tail,
        );
        break;
      default:
        if (at < changed.length) changed[at] = random.int(256);
    }
  }
  return changed;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}

function bytes(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(value));
}

function text(value: Uint8Array): string {
  return Buffer.from(value).toString();
}
