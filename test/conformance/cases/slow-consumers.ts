/** Clients that do not read. */
import assert from "node:assert/strict";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, EXTENDED_DELIVERED, ONE } from "../case.ts";

const MIB = 1024 * 1024;

/** Counts the events in frames by a mark, without decoding what would take longer than to send it. */
class Counter {
  readonly #mark: Buffer;
  #count = 0;
  #wanted = 0;
  #wake: (() => void) | undefined;

  constructor(mark: string) {
    this.#mark = Buffer.from(mark);
  }

  get count(): number {
    return this.#count;
  }

  take({ buffer, byteOffset, byteLength }: Uint8Array): void {
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    let at = bytes.indexOf(this.#mark);
    while (at >= 0) {
      this.#count += 1;
      at = bytes.indexOf(this.#mark, at + this.#mark.length);
    }
    if (this.#count >= this.#wanted) this.#wake?.();
  }

  async reaches(count: number): Promise<void> {
    if (this.#count >= count) return;
    this.#wanted = count;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

const EVENT_BYTES = 32 * 1024;
const MARK = "the-mark-of-an-event";
/** Events that may be under way to the slowest reader. */
const WINDOW = 16;

async function publishMany(
  context: Context,
  channel: string,
  events: number,
  readers: readonly Counter[],
): Promise<void> {
  const publisher = await context.client();
  const text = "x".repeat(EVENT_BYTES);
  for (let i = 0; i < events; i++) {
    await publisher.publish(channel, text, `${MARK}-${i}`);
    await Promise.all(readers.map((reader) => reader.reaches(i + 1 - WINDOW)));
  }
  await Promise.all(readers.map((reader) => reader.reaches(events)));
}

export const slowConsumerCases: readonly Case[] = [
  {
    rules: ["B1"],
    title: "who says what it has received gets more than its credit; who does not is closed",
    server: "load",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const channel = context.channel();
      const connect = { subscriptions: [{ channel }], capabilities: ["credit", "control"] };
      const reading = new Counter(MARK);
      const honest = await context.client(connect, {
        acknowledgeEvery: MIB,
      });
      const mute = await context.client(connect);
      honest.socket.addEventListener("message", ({ data }) => {
        reading.take(
          typeof data === "string" ? Buffer.from(data) : new Uint8Array(data as ArrayBuffer),
        );
      });
      await publishMany(context, channel, (10 * MIB) / EVENT_BYTES, [reading]);
      assert.equal((await mute.next("disconnect")).code, 3510);
      assert.deepEqual(await mute.closed(), { code: 3510, reason: "slow consumer" });
      assert.ok(mute.bytes > 8 * MIB && mute.bytes < 9 * MIB, `${mute.bytes} bytes`);
      assert.equal(honest.close, undefined);
    },
  },
  {
    rules: ["B1", "B2", "B3", "B4"],
    title: "64 MiB to 100 subscribers, 5 of which never read: the 95 get all, the 5 find 3510",
    server: "load",
    kinds: ONE,
    observes: ["stats", "memory"],
    async run(context) {
      const channel = context.channel();
      const events = (64 * MIB) / EVENT_BYTES;
      const counters: Counter[] = [];
      for (let i = 0; i < 95; i++) {
        const counter = new Counter(MARK);
        const client = await context.webSocket({
          acknowledgeEvery: MIB,
          onBytes: (bytes) => counter.take(bytes),
        });
        const subscriptions = [{ channel }];
        const value = { subscriptions, capabilities: ["credit"] };
        client.send({ envelope: { case: "connect", value } });
        await client.until(() => client.bytes > 0 || undefined);
        counters.push(counter);
      }
      const stuck = [];
      for (let i = 0; i < 5; i++) {
        const extended = i >= 3;
        const client = await context.webSocket({ extended });
        const capabilities = extended ? ["credit"] : [];
        await client.connect({ subscriptions: [{ channel }], capabilities });
        client.socket.pause();
        stuck.push(client);
      }
      const { disconnects } = await context.stats();
      const before = disconnects["3510"] ?? 0;
      const memory = async (): Promise<number> => (await context.server.memory?.()) ?? 0;
      const idle = await memory();
      let peak = idle;
      const looks: Promise<void>[] = [];
      const watch = setInterval(() => {
        const look = async (): Promise<void> => {
          peak = Math.max(peak, await memory());
        };
        looks.push(look());
      }, 500);
      try {
        await publishMany(context, channel, events, counters);
      } finally {
        clearInterval(watch);
      }
      await Promise.all(looks);
      assert.ok(counters.every(({ count }) => count === events));
      const after = await eventually(
        () => context.stats(),
        (stats) => (stats.disconnects["3510"] ?? 0) === before + 5,
      );
      assert.equal(after.sessions, 96);
      const growth = (peak - idle) / MIB;
      context.notes.push(`the server grew by ${growth.toFixed(0)} MiB`);
      assert.ok(growth < 250, `the server grew by ${growth.toFixed(0)} MiB`);
      for (const client of stuck) {
        client.socket.resume();
        assert.deepEqual(await client.closed(60_000), { code: 3510, reason: "slow consumer" });
      }
    },
  },
];
