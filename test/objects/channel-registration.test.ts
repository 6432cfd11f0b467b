/** What a gateway tells a channel: in few calls, in order, and again where it may not have been heard. */
import { afterEach, expect, test, vi } from "vitest";
import { nextTurn } from "../support/platform.ts";
import { BrokerScene, ROOM } from "./broker-scene.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function session(sessionId: string) {
  return { sessionId, userId: "", clientId: "" };
}

const OVERLOADED = Object.assign(new Error("busy"), { overloaded: true });

/** A session comes, as the engine tells it. */
async function enter(scene: BrokerScene, id: string): Promise<void> {
  scene.wanted = true;
  scene.sessions.set(id, session(id));
  await Promise.all([scene.broker.join(ROOM, session(id)), scene.broker.subscribe(ROOM)]);
}

/** A session goes, as the engine tells it. */
function go(scene: BrokerScene, id: string, clean = true): void {
  scene.sessions.delete(id);
  scene.broker.leave(ROOM, id, clean);
  if (scene.sessions.size > 0) return;
  scene.wanted = false;
  scene.broker.unsubscribe(ROOM);
}

/** Everything that was asked for has been told. */
async function quiet(scene: BrokerScene): Promise<void> {
  let calls = -1;
  while (calls !== scene.calls.length) {
    calls = scene.calls.length;
    for (let i = 0; i < 5; i++) await nextTurn();
  }
}

function names(list: readonly { readonly sessionId: string }[]): string[] {
  return list.map(({ sessionId }) => sessionId);
}

test("what happens in one turn travels in one call", async () => {
  const scene = new BrokerScene();
  scene.follows = true;
  await Promise.all([enter(scene, "a"), enter(scene, "b")]);
  expect(scene.registers).toHaveLength(1);
  const { gateway, registration, presence, joined, left, complete, ended } = scene.last;
  expect([gateway, presence, complete, ended]).toEqual(["g1", true, false, ""]);
  expect(registration).toBe(scene.rows.get(ROOM)?.id);
  expect([names(joined), left]).toEqual([["a", "b"], []]);
});

test("a call that had to wait says how many channels have to wait still", async () => {
  const scene = new BrokerScene();
  const channels = Array.from({ length: 40 }, (_, i) => `room-${i}`);
  await Promise.all(channels.map((channel) => scene.broker.subscribe(channel)));
  // Sixteen begin at once, before the others ask for a place; the next sixteen begin when they are answered.
  const waiting = scene.registers.map((request) => request.waiting);
  expect(waiting).toEqual([...Array(16).fill(0), ...Array(16).fill(8), ...Array(8).fill(0)]);
});

test("what comes while a call is in flight goes with the next, and numbers rise", async () => {
  const scene = new BrokerScene();
  const first = enter(scene, "a");
  await nextTurn();
  const rest = Promise.all([enter(scene, "b"), enter(scene, "c")]);
  go(scene, "b", false);
  await Promise.all([first, rest]);
  expect(scene.registers).toHaveLength(2);
  const [one, two] = scene.registers;
  expect(two?.sequence).toBeGreaterThan(one?.sequence ?? 0n);
  expect(two?.registration).not.toBe(one?.registration);
  expect(names(two?.joined ?? [])).toEqual(["c"]);
  expect(two?.left).toMatchObject([{ sessionId: "b", clean: false }]);
  // A gateway that slept goes on above what it has used.
  scene.restart();
  await scene.broker.subscribe(ROOM);
  expect(scene.last.sequence).toBeGreaterThan(two?.sequence ?? 0n);
});

test("joins and leaves alone leave the registration as it is", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  await scene.broker.join(ROOM, session("b"));
  expect([scene.last.registration, scene.last.ended]).toEqual(["", ""]);
  scene.broker.leave(ROOM, "b", true);
  await quiet(scene);
  expect(scene.last.left).toMatchObject([{ sessionId: "b", clean: true }]);
  expect(scene.last.ended).toBe("");
});

test("the last leave travels with the end of the registration, and the row goes when it was heard", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  const row = scene.rows.get(ROOM);
  let heard: (() => void) | undefined;
  scene.before = () => new Promise<void>((resolve) => (heard = resolve));
  go(scene, "a", false);
  for (let i = 0; i < 5; i++) await nextTurn();
  expect(scene.last).toMatchObject({ ended: row?.id, registration: "", complete: false });
  expect(names(scene.last.left)).toEqual(["a"]);
  expect(scene.rows.get(ROOM)).toEqual(row);
  heard?.();
  await quiet(scene);
  expect(scene.rows.size).toBe(0);
  expect(scene.broker.stats()).toEqual({ registrations: 0, publishing: 0 });
});

test("a session that leaves while it is being registered leaves nothing behind", async () => {
  const scene = new BrokerScene();
  const entering = enter(scene, "a");
  await nextTurn();
  go(scene, "a");
  await entering;
  await quiet(scene);
  expect(scene.registers).toHaveLength(2);
  expect(scene.last.ended).toBe(scene.registers[0]?.registration);
  expect(names(scene.last.left)).toEqual(["a"]);
  expect(scene.rows.size).toBe(0);
});

test("nobody is named as present where nobody wants the channel", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  const joining = scene.broker.join(ROOM, session("b"));
  go(scene, "a");
  await joining;
  await quiet(scene);
  expect(scene.registers).toHaveLength(2);
  expect(names(scene.last.joined)).toEqual([]);
});

test("a session that is gone before anything was told costs no call", async () => {
  const scene = new BrokerScene();
  const entering = enter(scene, "a");
  go(scene, "a");
  await expect(entering).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await quiet(scene);
  expect(scene.calls).toEqual([]);
  expect(scene.rows.size).toBe(0);
});

test("who comes while the last one is being told to have gone registers anew", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  const first = scene.last.registration;
  go(scene, "a");
  await nextTurn();
  await enter(scene, "b");
  await quiet(scene);
  expect(scene.registers.slice(1).map(({ ended }) => ended)).toEqual([first, ""]);
  expect(scene.rows.get(ROOM)?.id).toBe(scene.last.registration);
  // In one turn there is no end in between.
  go(scene, "b");
  await enter(scene, "c");
  expect([scene.last.ended, names(scene.last.left), names(scene.last.joined)]).toEqual([
    "",
    ["b"],
    ["c"],
  ]);
});

test("a call is repeated as it was", async () => {
  const scene = new BrokerScene();
  let failures = 3;
  scene.before = () => {
    failures -= 1;
    if (failures >= 0) throw new Error("reset");
  };
  await enter(scene, "a");
  expect(scene.registers).toHaveLength(4);
  expect(new Set(scene.registers.map(({ sequence }) => sequence)).size).toBe(1);
  expect(new Set(scene.registers.map(({ registration }) => registration)).size).toBe(1);
});

test("after a call that failed for good the next one names everybody", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  scene.before = () => {
    throw OVERLOADED;
  };
  await expect(enter(scene, "b")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  go(scene, "a", false);
  await quiet(scene);
  expect(scene.rows.get(ROOM)?.unsettled).toBe(true);
  scene.before = () => {};
  await scene.broker.sweep();
  expect(scene.last).toMatchObject({ complete: true, registration: "", ended: "" });
  expect(names(scene.last.joined)).toEqual(["b"]);
  expect(scene.rows.get(ROOM)?.unsettled).toBe(false);
  const calls = scene.calls.length;
  await scene.broker.sweep();
  expect(scene.calls).toHaveLength(calls);
  await enter(scene, "c");
  expect(scene.last.complete).toBe(false);
});

test("an end that was not heard is told again by the sweep, also of a later life", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  scene.before = () => {
    throw OVERLOADED;
  };
  go(scene, "a");
  await quiet(scene);
  scene.restart();
  await scene.broker.sweep();
  expect(scene.rows.size).toBe(1);
  scene.before = () => {};
  await scene.broker.sweep();
  // Nobody is named: whoever the channel still counts here is gone.
  expect(scene.last).toMatchObject({ complete: true, joined: [] });
  expect(scene.last.ended).toBe(scene.registers[0]?.registration);
  expect(scene.rows.size).toBe(0);
});

test("the first registration of a life names everybody where an earlier one was registered", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  expect(scene.last.complete).toBe(false);
  scene.restart();
  await enter(scene, "b");
  expect(scene.last.complete).toBe(true);
  expect(names(scene.last.joined).sort()).toEqual(["a", "b"]);
  await enter(scene, "c");
  expect(scene.last.complete).toBe(false);
  // A session that goes in the turn that names everybody is not named.
  scene.restart();
  go(scene, "a");
  await enter(scene, "d");
  expect(scene.last.complete).toBe(true);
  expect(names(scene.last.joined).sort()).toEqual(["b", "c", "d"]);
});

test("a gateway with a clock behind its own past still counts upwards", async () => {
  const scene = new BrokerScene();
  await enter(scene, "a");
  const before = scene.last.sequence;
  vi.spyOn(Date, "now").mockReturnValue(1);
  await enter(scene, "b");
  expect(scene.last.sequence).toBe(before + 1n);
});

test("many stale registrations are taken back, a few at a time", async () => {
  const scene = new BrokerScene();
  for (let i = 0; i < 100; i++) scene.rows.set(`room.${i}`, { id: `${i}`, unsettled: false });
  scene.wanted = false;
  let open = 0;
  let most = 0;
  scene.before = async () => {
    open += 1;
    most = Math.max(most, open);
    await nextTurn();
    open -= 1;
  };
  await scene.broker.sweep();
  expect(scene.registers).toHaveLength(100);
  expect(most).toBeLessThanOrEqual(32);
  expect(scene.rows.size).toBe(0);
});

test.each([
  ["does not know the channel", undefined],
  ["is in an earlier log", "e0"],
])(
  "where a gateway %s, an answer that a later log has overtaken leads nobody back",
  async (_, known) => {
    const scene = new BrokerScene();
    scene.hears = true;
    if (known !== undefined) await scene.deliver(0, [1], { epoch: known, registration: "" });
    scene.head = 5;
    let arrive: (() => void) | undefined;
    scene.onTheWay = () => new Promise((resolve) => (arrive = resolve));
    const entering = enter(scene, "a");
    await quiet(scene);
    scene.onTheWay = () => {};
    Object.assign(scene, { epoch: "e2", head: 1 });
    await scene.deliver(0, [1]);
    scene.heard();
    arrive?.();
    await entering;
    expect(scene.heard()).toEqual([]);
    expect(scene.broker.position(ROOM)).toEqual({ epoch: "e2", offset: 1 });
    const [one, two] = scene.registers;
    expect(two).toEqual(one);
  },
);

test("an answer of a log that has begun since the last delivery is taken at once", async () => {
  const scene = new BrokerScene();
  scene.hears = true;
  await scene.deliver(0, [1], { epoch: "e0", registration: "" });
  await enter(scene, "a");
  expect(scene.heard()).toEqual(["e0:1", "gap epoch_changed e0:1 e1:0"]);
  expect(scene.registers).toHaveLength(1);
});

test("who has been answered listens, whether its session has taken that up or not", async () => {
  const scene = new BrokerScene();
  scene.listens = false;
  scene.head = 1;
  await scene.broker.subscribe(ROOM);
  scene.head = 2;
  await scene.broker.subscribe(ROOM);
  await scene.deliver(1, [2]);
  expect(scene.heard()).toEqual(["e1:2"]);
  // Once nobody wants the channel what comes later is another story.
  scene.wanted = false;
  scene.broker.unsubscribe(ROOM);
  await quiet(scene);
  scene.wanted = true;
  scene.head = 5;
  await scene.broker.subscribe(ROOM);
  await scene.deliver(2, [3, 4, 5]);
  expect(scene.heard()).toEqual([]);
});
