/** What a client does with publishes while it has no connection. */
import { expect, test } from "vitest";
import { memoryQueue } from "../../../src/client/queue/queue.ts";
import { Scene } from "./scripted.ts";

const connected = { dedup_window_ms: 300_000, user_id: "ada" };

function scene(): Scene {
  return new Scene({ queueFactory: memoryQueue() });
}

/** The transport of the attempt that is under way. */
function last({ transports }: Scene) {
  const transport = transports.at(-1);
  if (transport === undefined) throw new Error("there was no attempt");
  return transport;
}

/** What became of a promise, as a word. */
function became(promise: Promise<{ offset: number; duplicate: boolean }>): { is: string } {
  const state = { is: "waits" };
  promise.then(
    ({ offset, duplicate }) => {
      state.is = `${offset}${duplicate ? " duplicate" : ""}`;
    },
    ({ code }) => {
      state.is = code;
    },
  );
  return state;
}

test("publishes from before the connection are sent with it, in their order", async () => {
  const one = scene();
  const outcomes = ["a", "b"].map((data) => became(one.client.publish("room", data)));
  await one.clock.advance(0);
  last(one).connect(connected);
  const sent = last(one).sent.slice(1);
  expect(sent.map(({ channel, again }) => [channel, again])).toEqual([
    ["room", undefined],
    ["room", undefined],
  ]);
  for (const [i, { id = "" }] of sent.entries()) {
    last(one).frame({ id, publish_ack: { offset: i + 1, epoch: "e" } });
  }
  await one.clock.advance(0);
  expect(outcomes.map(({ is }) => is)).toEqual(["1", "2"]);
});

test("what had no answer is sent again with the same event, and says so", async () => {
  const one = scene();
  last(one).connect(connected);
  const outcome = became(one.client.publish("room", "a"));
  await one.clock.advance(0);
  const first = last(one).last;
  last(one).end(1006);
  await one.clock.advance(60_000);
  last(one).connect({ ...connected });
  const second = last(one).last;
  expect(second.publish).toEqual(first.publish);
  expect([first.again, second.again]).toEqual([undefined, true]);
  last(one).answer({ publish_ack: { offset: 7, epoch: "e", duplicate: true } });
  await one.clock.advance(0);
  expect(outcome.is).toBe("7 duplicate");
});

test("when the server may have forgotten it, the outcome is unknown", async () => {
  const one = scene();
  last(one).connect(connected);
  const outcome = became(one.client.publish("room", "a"));
  await one.clock.advance(0);
  last(one).end(1006);
  await one.clock.advance(269_999);
  expect(outcome.is).toBe("waits");
  await one.clock.advance(1);
  expect(outcome.is).toBe("OUTCOME_UNKNOWN");
});

test("a publish that is larger than the server takes is not sent, and not tried again", async () => {
  const one = scene();
  last(one).connect(connected);
  const outcome = became(one.client.publish("room", "x".repeat(70_000)));
  await one.clock.advance(10_000);
  expect(outcome.is).toBe("TOO_LARGE");
  expect(last(one).sent).toHaveLength(1);
});

test("closing settles what waits", async () => {
  const one = scene();
  const waits = became(one.client.publish("room", "a"));
  await one.clock.advance(0);
  last(one).connect(connected);
  last(one).end(1006);
  const later = became(one.client.publish("room", "b"));
  await one.clock.advance(0);
  await one.client.close({ forget: true });
  await one.clock.advance(0);
  expect([waits.is, later.is]).toEqual(["OUTCOME_UNKNOWN", "UNAVAILABLE"]);
});

test("a server that ends the client for good settles what waits", async () => {
  const one = scene();
  last(one).connect(connected);
  const sent = became(one.client.publish("room", "a"));
  await one.clock.advance(0);
  last(one).end(1006);
  const waits = became(one.client.publish("room", "b"));
  await one.clock.advance(10_000);
  last(one).end(3500, "banned");
  await one.clock.advance(0);
  const late = became(one.client.publish("room", "c"));
  await one.clock.advance(0);
  expect(one.client.state).toBe("closed");
  expect([sent.is, waits.is, late.is]).toEqual(["OUTCOME_UNKNOWN", "UNAVAILABLE", "UNAVAILABLE"]);
});

test("what the server has left in a store by ending the client is forgotten when its user logs out", async () => {
  const closes: boolean[] = [];
  const one = new Scene({
    queueFactory: (context) => {
      const queue = memoryQueue()(context);
      return {
        ...queue,
        close: (forget) => {
          closes.push(forget);
          return queue.close(forget);
        },
      };
    },
  });
  last(one).connect(connected);
  last(one).end(3500, "banned");
  expect(closes).toEqual([false]);
  await one.client.close();
  expect(closes).toEqual([false]);
  await one.client.close({ forget: true });
  expect(closes).toEqual([false, true]);
});
