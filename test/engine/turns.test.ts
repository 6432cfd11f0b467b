/** How reads share the event loop: so many steps in one turn, one read of a session at a time. */
import { expect, test } from "vitest";
import { SessionReads } from "../../src/engine/subscription/reads.ts";
import { Turns } from "../../src/engine/turns.ts";
import { MAX_OPEN_REQUESTS } from "../../src/protocol/limits.ts";
import { joining, type Listener, listening, ROOM, since } from "./log-broker.ts";
import { kinds, send } from "./scene.ts";

/** Turns in the hand of the test. */
function stage() {
  const clock = { time: 1_000, now: () => clock.time };
  const next: (() => void)[] = [];
  const turns = new Turns(clock, (callback) => next.push(callback));
  const turn = async (): Promise<void> => {
    for (const callback of next.splice(0)) callback();
    await new Promise(setImmediate);
  };
  return { clock, next, turn, turns };
}

test("one turn has room for so many steps; the others come in their order", async () => {
  const { turns, turn, next } = stage();
  const ran: number[] = [];
  const all = Array.from({ length: 100 }, (_, index) => turns.run(() => ran.push(index)));
  expect(ran.length).toBe(32);
  for (const count of [64, 96, 100]) {
    await turn();
    expect(ran.length).toBe(count);
  }
  await Promise.all(all);
  expect(ran).toEqual([...ran.keys()]);
  await turn();
  expect(next).toEqual([]);
});

test("steps that take long leave their turn to others sooner", async () => {
  const { turns, turn, clock } = stage();
  let ran = 0;
  const all = Array.from({ length: 6 }, () =>
    turns.run(() => {
      ran += 1;
      clock.time += 6;
    }),
  );
  expect(ran).toBe(2);
  await turn();
  expect(ran).toBe(4);
  // A clock that is set back does not let more than a turn's worth through.
  clock.time -= 10_000;
  await turn();
  expect(ran).toBe(6);
  await Promise.all(all);
});

test("a step that does more counts for more", async () => {
  const { turns, turn } = stage();
  const ran: number[] = [];
  const all = [20, 20, 1, 40, 1].map((weight) => turns.run(() => ran.push(weight), weight));
  expect(ran).toEqual([20, 20]);
  await turn();
  expect(ran).toEqual([20, 20, 1, 40]);
  await turn();
  expect(ran).toEqual([20, 20, 1, 40, 1]);
  await Promise.all(all);
});

test("requests for many channels wait for their turn, and are done in their order", async () => {
  const scene = await listening();
  const clients = [scene.listener];
  for (let i = 0; i < 9; i++) clients.push(await joining(scene));
  const names = Array.from({ length: 200 }, (_, index) => ({ channel: `c.${index}` }));
  const value = { subscriptions: names };
  const done = clients.map(async ({ session }) => {
    const subscribing = send(session, { envelope: { case: "subscribe", value } });
    const leaving = send(session, { envelope: { case: "unsubscribe", value } });
    await Promise.all([subscribing, leaving]);
  });
  await Promise.resolve();
  expect(scene.engine.stats().subscriptions).toBeLessThan(1_200);
  await Promise.all(done);
  expect(scene.engine.stats().subscriptions).toBe(0);
  for (const { transport } of clients) {
    expect(kinds(transport).slice(-2)).toEqual(["subscribeAck", "unsubscribeAck"]);
  }
});

test("what a step throws reaches the one that asked, and nobody else", async () => {
  const { turns } = stage();
  const failing = turns.run(() => {
    throw new Error("no such page");
  });
  await expect(failing).rejects.toThrow("no such page");
  await expect(turns.run(async () => await Promise.reject(new Error("later")))).rejects.toThrow(
    "later",
  );
  await expect(turns.run(() => "here")).resolves.toBe("here");
});

test("the reads of a session run one after the other, whatever becomes of each", async () => {
  const reads = new SessionReads();
  const story: string[] = [];
  const gate = Promise.withResolvers<void>();
  const read = (name: string, work: () => Promise<void>) =>
    reads.run(async () => {
      story.push(`${name} begins`);
      await work();
      story.push(`${name} ends`);
    });
  const first = read("first", () => gate.promise);
  const second = read("second", () => Promise.reject(new Error("lost")));
  const third = read("third", async () => {});
  await Promise.resolve();
  expect(story).toEqual(["first begins"]);
  gate.resolve();
  await expect(second).rejects.toThrow("lost");
  await Promise.all([first, third]);
  expect(story).toEqual([
    "first begins",
    "first ends",
    "second begins",
    "third begins",
    "third ends",
  ]);
  await read("fourth", async () => {});
  expect(story.at(-1)).toBe("fourth ends");
});

const PAGE = { case: "historyRequest", value: { channel: ROOM, limit: 100 } } as const;

/** Asks for the same page so many times without waiting. */
function ask(listener: Listener, count: number): Promise<unknown> {
  return Promise.all(
    Array.from({ length: count }, () => send(listener.session, { envelope: PAGE })),
  );
}

test("a client that asks for much at once does not keep the loop from another", async () => {
  const scene = await listening(["history"]);
  const greedy = scene.listener;
  const modest = await joining(scene, ["history"]);
  scene.broker.deliver(100);
  for (const listener of [greedy, modest]) await listener.subscribe();
  const answers = ({ transport }: Listener): number =>
    kinds(transport).filter((kind) => kind === "history").length;
  const asking = ask(greedy, 1_000);
  let most = 0;
  let before = 0;
  for (let turn = 0; turn < 4; turn++) {
    await new Promise(setImmediate);
    most = Math.max(most, answers(greedy) - before);
    before = answers(greedy);
  }
  // A page is two steps: it is read, and it is written.
  expect(most).toBeLessThanOrEqual(33);
  expect(before).toBeGreaterThan(0);
  await ask(modest, 1);
  expect(answers(modest)).toBe(1);
  expect(answers(greedy)).toBeLessThan(300);
  await asking;
  expect(answers(greedy)).toBe(1_000);
});

test("a session reads one page at a time, and none after it has ended", async () => {
  const { broker, listener } = await listening(["history", "recovery"]);
  broker.append(3);
  await listener.subscribe();
  const gate = Promise.withResolvers<void>();
  broker.reading = () => gate.promise;
  const asking = [ask(listener, 50), listener.subscribe(since(0))];
  await new Promise(setImmediate);
  expect(broker.asked.length).toBe(1);
  listener.session.end(true);
  gate.resolve();
  await Promise.all(asking);
  expect(broker.asked.length).toBe(1);
});

test("a session has so many requests under way, however short they are", async () => {
  // Once 40,000 of them waited at once, and took 160 MB.
  const { broker, listener } = await listening(["history"]);
  await listener.subscribe();
  const gate = Promise.withResolvers<void>();
  broker.reading = () => gate.promise;
  const asking = ask(listener, MAX_OPEN_REQUESTS + 10);
  await new Promise(setImmediate);
  const refused = kinds(listener.transport).filter((kind) => kind === "error RATE_LIMITED");
  expect(refused.length).toBe(10);
  gate.resolve();
  await asking;
  expect(kinds(listener.transport).filter((kind) => kind === "history").length).toBe(
    MAX_OPEN_REQUESTS,
  );
});

test("what is replayed is written in portions, live messages after it", async () => {
  const { broker, listener } = await listening();
  broker.append(1_000, 2_000);
  broker.handed = broker.head;
  const catching = listener.subscribe(since(0));
  let turns = 0;
  while (!listener.transport.frames.some((frame) => String(frame).includes('"recovered"'))) {
    await new Promise(setImmediate);
    turns += 1;
    if (turns === 1) broker.deliver(1);
    expect(turns).toBeLessThan(1_000);
  }
  await catching;
  // Two megabytes are more than what fits into one turn.
  expect(turns).toBeGreaterThan(1);
  const told = listener.told();
  const replayed = told.filter((line) => line.startsWith("replay"));
  expect(replayed[0]).toMatch(/^replay e\/1-/);
  expect(replayed.at(-1)).toMatch(/-1000$/);
  expect(told.slice(-2)).toEqual(["recovered e/1000", "live e/1001"]);
});
