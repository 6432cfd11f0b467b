/** How lifecycle events come to a backend: at least once, a session's in order, whatever the backend does. */
import { expect, test } from "vitest";
import { BackendFailure } from "../../src/engine/ports/backends.ts";
import { MemoryOutbox } from "../../src/hooks/memory-outbox.ts";
import { seed, seededRandom } from "../support/random.ts";
import { event, type Form, hooksScene, jsonOf, linesOf } from "./scene.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function life(session: string) {
  return [
    event(session, "connected"),
    event(session, "subscribed"),
    event(session, "unsubscribed"),
    event(session, "disconnected"),
  ];
}

const LIFE = ["connected", "subscribed a", "unsubscribed a", "disconnected"];
const lifeOf = (session: string): string[] => LIFE.map((line) => `${session} ${line}`);

test("a life arrives once and in its order, one request at a time", async () => {
  const { backend, hooks, tell, time } = hooksScene();
  tell(life("s"));
  await time.pass(0);
  expect(backend.taken).toEqual(lifeOf("s"));
  expect(backend.mostOpen).toBe(1);
  expect(hooks.stats).toEqual({
    waiting: 0,
    delivered: 4,
    failures: 0,
    overflowed: 0,
    expired: 0,
  });
});

test("sessions do not wait for each other, and no more than eight requests are under way", async () => {
  const { backend, tell, time } = hooksScene();
  const slow = Promise.withResolvers<number>();
  backend.answer = (request) => (linesOf(request)[0]?.startsWith("slow") ? slow.promise : 200);
  tell(life("slow"));
  for (let i = 0; i < 100; i++) tell(life(`s${i}`));
  await time.pass(0);
  expect(backend.taken).toHaveLength(400);
  expect(backend.mostOpen).toBe(8);
  slow.resolve(200);
  await time.pass(0);
  expect(backend.taken.filter((line) => line.startsWith("slow"))).toEqual(lifeOf("slow"));
});

test.each([
  ["answers 500", 500],
  ["answers 302", 302],
  ["asks for patience", 429],
  ["refuses", 400],
  ["gives no answer", new BackendFailure("timeout", "no answer in 5s")],
  ["fails as nobody foresaw", new TypeError("x is undefined")],
] as const)("a backend that %s for a minute gets everything when it is back", async (_, answer) => {
  const { backend, hooks, tell, time, warnings } = hooksScene();
  backend.answer = () => answer;
  for (const session of ["a", "b", "c"]) tell(life(session));
  await time.pass(MINUTE);
  expect(backend.taken).toEqual([]);
  expect(backend.requests.length).toBeLessThan(40);
  expect(hooks.stats.waiting).toBe(12);
  expect(hooks.stats.failures).toBe(backend.requests.length);
  expect(new Set(warnings).size).toBe(1);
  expect(warnings.length).toBeLessThanOrEqual(2);
  backend.answer = () => 204;
  await time.pass(2 * MINUTE);
  for (const session of ["a", "b", "c"]) {
    expect(backend.taken.filter((line) => line.startsWith(session))).toEqual(lifeOf(session));
  }
  expect(hooks.stats).toMatchObject({ waiting: 0, delivered: 12 });
});

test("while a backend is away it is asked by one request at a time, ever more seldom", async () => {
  const { backend, tell, time } = hooksScene();
  backend.answer = () => 503;
  for (let i = 0; i < 1_000; i++) tell(life(`s${i}`));
  await time.pass(0);
  const before = backend.requests.length;
  expect(before).toBe(8);
  backend.mostOpen = 0;
  await time.pass(10 * MINUTE);
  expect(backend.mostOpen).toBe(1);
  expect(backend.requests.length - before).toBeLessThan(40);
});

test("a session that is refused holds no other, alone and in a batch", async () => {
  for (const form of ["json", "cloudevents in batches"] as const) {
    const { backend, hooks, tell, time } = hooksScene({ form });
    backend.answer = (request) =>
      linesOf(request).some((line) => line.startsWith("bad")) ? 422 : 200;
    tell([...life("a"), ...life("bad"), ...life("b")]);
    await time.pass(100);
    expect([...backend.taken].sort()).toEqual([...lifeOf("a"), ...lifeOf("b")].sort());
    expect(hooks.stats.waiting).toBe(4);
    backend.answer = () => 200;
    await time.pass(2 * MINUTE);
    expect(backend.taken.slice(-4)).toEqual(lifeOf("bad"));
  }
});

test("a repeated request has the same id and the same body, and another time", async () => {
  for (const form of ["json", "cloudevents in batches"] as const) {
    const { backend, tell, time } = hooksScene({ form, secrets: [new Uint8Array(32)] });
    backend.answer = () => 500;
    tell(life("a"));
    await time.pass(0);
    tell(life("b"));
    await time.pass(1_500);
    const [first, second] = backend.requests;
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(second?.body).toEqual(first?.body);
    expect(second?.headers["webhook-timestamp"]).not.toBe(first?.headers["webhook-timestamp"]);
    expect(second?.headers["webhook-signature"]).not.toBe(first?.headers["webhook-signature"]);
  }
});

test("a batch has what waits, at most 100 events", async () => {
  const { backend, tell, time } = hooksScene({ form: "cloudevents in batches" });
  const all = Array.from({ length: 250 }, (_, i) =>
    event(`s${i % 3}`, "subscribed", { channel: `${i}` }),
  );
  tell(all);
  await time.pass(0);
  expect(backend.requests.map((request) => linesOf(request).length)).toEqual([100, 100, 50]);
  expect(backend.taken).toEqual(
    all.map(({ sessionId, channel }) => `${sessionId} subscribed ${channel}`),
  );
});

test("a clock that is set back makes no pause longer", async () => {
  const { backend, hooks, tell, time } = hooksScene();
  backend.answer = () => 503;
  tell(life("s"));
  await time.pass(0);
  backend.answer = () => 200;
  time.setBack(60 * MINUTE);
  await time.pass(2 * MINUTE);
  expect(hooks.stats.waiting).toBe(0);
});

test("one slow backend does not hold another, and each gets its own", async () => {
  const never = Promise.withResolvers<undefined>();
  let asked = 0;
  const { backend, hooks, tell, time } = hooksScene({
    others: [
      {
        name: "slow",
        most: 1,
        takes: ({ kind }) => kind === "connected",
        send: () => {
          asked += 1;
          return never.promise;
        },
      },
    ],
  });
  for (let i = 0; i < 2_000; i++) tell(life(`s${i}`));
  await time.pass(0);
  expect(backend.taken).toHaveLength(6_000);
  expect(backend.taken.some((line) => line.endsWith(" connected"))).toBe(false);
  expect(asked).toBe(8);
  expect(hooks.stats.waiting).toBe(2_000);
});

test("what nobody takes is not kept", async () => {
  const { backend, outbox, tell, time } = hooksScene({
    takes: ({ kind }) => kind !== "subscribed",
  });
  tell(life("s"));
  await time.pass(0);
  expect(backend.taken).toEqual(["s connected", "s unsubscribed a", "s disconnected"]);
  expect(outbox.size).toBe(0);
});

test("what is older than a day is dropped and counted, and the rest goes on", async () => {
  const { backend, hooks, tell, time } = hooksScene();
  backend.answer = () => 503;
  const now = time.now();
  tell([event("a", "connected", { time: now }), event("b", "connected", { time: now })]);
  await time.pass(DAY + MINUTE);
  expect(hooks.stats).toMatchObject({ waiting: 0, expired: 2, delivered: 0 });
  tell([event("c", "connected", { time: time.now() })]);
  backend.answer = () => 200;
  await time.pass(2 * MINUTE);
  expect(backend.taken).toEqual(["c connected"]);
});

test("beyond what the outbox holds the oldest are dropped and counted", async () => {
  const { backend, hooks, tell, time } = hooksScene({ outbox: new MemoryOutbox(10) });
  const away = Promise.withResolvers<number>();
  backend.answer = () => away.promise;
  for (let i = 0; i < 25; i++) tell([event("s", "subscribed", { channel: `${i}` })]);
  expect(hooks.stats).toMatchObject({ waiting: 10, overflowed: 15 });
  away.resolve(200);
  await time.pass(0);
  expect(backend.taken.slice(-10)).toEqual(
    Array.from({ length: 10 }, (_, i) => `s subscribed ${15 + i}`),
  );
  expect(hooks.stats.waiting).toBe(0);
});

test("who stops can wait until everything has arrived", async () => {
  const { backend, hooks, tell, time } = hooksScene();
  backend.answer = () => 500;
  tell(life("s"));
  let empty = false;
  const emptied = hooks.emptied().then(() => {
    empty = true;
  });
  await time.pass(500);
  expect(empty).toBe(false);
  backend.answer = () => 200;
  await time.until(emptied);
  expect(backend.taken).toEqual(lifeOf("s"));
  await hooks.emptied();
  hooks.end();
  tell(life("t"));
  await time.pass(MINUTE);
  expect(backend.taken).toEqual(lifeOf("s"));
});

test("the forms: protobuf JSON, the bodies of v0.1.1, CloudEvents", async () => {
  const told = event("s", "subscribed", { id: "id-1", channel: "news" });
  const sent = async (form: Form) => {
    const { backend, tell, time } = hooksScene({ form });
    tell([
      told,
      { ...told, id: "id-2", kind: "disconnected", channel: "", code: 3512, reason: "going away" },
    ]);
    await time.pass(0);
    return backend.requests.map((request) => ({
      type: request.contentType,
      hook: request.headers["messageloop-hook"],
      id: request.headers["webhook-id"],
      body: jsonOf(request),
    }));
  };
  const lifecycle = (id: string) => ({
    event_id: id,
    time: "2023-11-14T22:13:20Z",
    client_id: "phone",
    client_type: "web",
  });
  const subscribed = {
    session_id: "s",
    channel: "news",
    username: "ada",
    lifecycle: lifecycle("id-1"),
  };
  const disconnected = {
    session_id: "s",
    username: "ada",
    lifecycle: lifecycle("id-2"),
    code: 3512,
    reason: "going away",
  };
  const json = { type: "application/json" };
  expect(await sent("json")).toEqual([
    { ...json, hook: "on_subscribed", id: "id-1", body: subscribed },
    { ...json, hook: "on_disconnected", id: "id-2", body: disconnected },
  ]);
  expect(await sent("v0.1.1")).toEqual([
    {
      ...json,
      hook: "on_subscribed",
      id: "id-1",
      body: { channel: "news", session_id: "s", username: "ada" },
    },
    { ...json, hook: "on_disconnected", id: "id-2", body: { session_id: "s", username: "ada" } },
  ]);
  const cloudEvent = (id: string, kind: string, data: unknown) => ({
    specversion: "1.0",
    id,
    source: "/messageloop",
    type: `com.messageloop.on_${kind}`,
    subject: "s",
    time: "2023-11-14T22:13:20.000Z",
    datacontenttype: "application/json",
    data,
  });
  const both = [
    cloudEvent("id-1", "subscribed", subscribed),
    cloudEvent("id-2", "disconnected", disconnected),
  ];
  expect(await sent("cloudevents")).toEqual([
    { type: "application/cloudevents+json", hook: "on_subscribed", id: "id-1", body: both[0] },
    { type: "application/cloudevents+json", hook: "on_disconnected", id: "id-2", body: both[1] },
  ]);
  expect(await sent("cloudevents in batches")).toMatchObject([
    { type: "application/cloudevents-batch+json", hook: "events", body: both },
  ]);
});

test("whatever a backend answers at random, every life arrives at least once and in its order", async () => {
  const random = seededRandom(seed());
  for (const form of ["json", "cloudevents in batches"] as const) {
    const { backend, hooks, tell, time } = hooksScene({ form });
    const answers = [200, 200, 200, 404, 500, new BackendFailure("unreachable", "away")];
    // What was taken and not answered for arrives twice.
    backend.answer = (request) => {
      if (random.chance(0.1)) {
        backend.taken.push(...linesOf(request));
        return new BackendFailure("timeout", "no answer");
      }
      return random.pick(answers);
    };
    const sessions = Array.from({ length: 50 }, (_, i) => `s${i}`);
    const steps = sessions.flatMap((session) =>
      life(session).map((one) => ({ one, at: random.next() })),
    );
    for (const session of sessions) {
      const mine = steps.filter(({ one }) => one.sessionId === session);
      const times = mine.map(({ at }) => at).sort((a, b) => a - b);
      mine.forEach((step, i) => {
        step.at = times[i] ?? 0;
      });
    }
    for (const { one } of steps.sort((a, b) => a.at - b.at)) {
      tell([one]);
      await time.pass(random.int(200));
    }
    backend.answer = () => 200;
    await time.pass(3 * MINUTE);
    for (const session of sessions) {
      const mine = backend.taken.filter((line) => line.split(" ")[0] === session);
      // A batch is repeated as a whole: its events may come again, the first of them first.
      expect([...new Set(mine)]).toEqual(lifeOf(session));
    }
    expect(hooks.stats.waiting).toBe(0);
  }
});
