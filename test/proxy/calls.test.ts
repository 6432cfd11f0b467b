/** Calls of one backend: places, the queue, the circuit, deadlines, and what is sent again. */
import { expect, test } from "vitest";
import { BackendFailure, type Cancellation } from "../../src/engine/ports/backends.ts";
import type { BackendConfig } from "../../src/proxy/backend-config.ts";
import { BackendGuard, guarded } from "../../src/proxy/calls/guard.ts";
import { NotSent } from "../../src/proxy/calls/lane.ts";
import type { BackendResponse, Post } from "../../src/proxy/http/call.ts";
import { Time } from "../objects/time.ts";

const CONFIG: BackendConfig = {
  name: "shop",
  kind: "http",
  url: "https://shop.internal/",
  binding: undefined,
  timeouts: { rpc: 1_000, access: 1_000, events: 1_000 },
  payload: "json",
  batchEvents: false,
  encoding: "proto",
  signingSecrets: [],
  headers: {},
  tls: { serverName: undefined, insecureSkipVerify: false },
  allowedAddresses: [],
  maxResponseBytes: 1_024,
  concurrency: 2,
  queue: 2,
  circuit: { failures: 3, pauseMs: 5_000 },
  routes: [],
};

const OK: BackendResponse = { status: 200, contentType: "", body: new Uint8Array() };

/** A cancellation that the test makes. */
class Cancel implements Cancellation {
  cancelled = false;
  late = false;
  readonly withinMs: number;
  readonly #callbacks: (() => void)[] = [];

  constructor(withinMs = Number.POSITIVE_INFINITY) {
    this.withinMs = withinMs;
  }

  onCancel(callback: () => void): void {
    if (this.cancelled) callback();
    else this.#callbacks.push(callback);
  }

  cancel(late = false): void {
    this.cancelled = true;
    this.late = late;
    for (const callback of this.#callbacks.splice(0)) callback();
  }
}

/** A backend whose requests wait until the test answers them. */
function backend(config: Partial<BackendConfig> = {}) {
  const time = new Time();
  const lines: [string, unknown][] = [];
  const logger = {
    warn: (message: string, fields?: unknown) => lines.push([message, fields]),
    info: (message: string, fields?: unknown) => lines.push([message, fields]),
  };
  let opened = 0;
  /** What timers were asked for, in milliseconds. */
  const timed: number[] = [];
  const timers = {
    after: (ms: number, callback: () => void) => {
      timed.push(ms);
      return time.after(ms, callback);
    },
  };
  const guard = new BackendGuard(
    { ...CONFIG, ...config },
    {
      clock: time,
      timers,
      logger,
      opened: () => {
        opened += 1;
      },
    },
  );
  interface Sent {
    readonly answer: (response?: Partial<BackendResponse>) => void;
    readonly fail: (error: unknown) => void;
    readonly leftMs: number;
    aborted: boolean;
  }
  const sent: Sent[] = [];
  const post: Post = guarded(guard, (_, cancellation, leftMs) => {
    return new Promise((resolve, reject) => {
      const one: Sent = {
        answer: (response) => resolve({ ...OK, ...response }),
        fail: reject,
        leftMs,
        aborted: false,
      };
      cancellation.onCancel(() => {
        one.aborted = true;
      });
      sent.push(one);
    });
  });
  /** How a call ends: the status, or why it failed. */
  const call = (hook = "rpc", cancel: Cancellation = new Cancel(), ms = 1_000) => {
    const request = { hook, headers: {}, contentType: "", body: new Uint8Array() };
    return post(request, cancel, ms).then(
      ({ status }) => status,
      (error) => (error instanceof BackendFailure ? error.reason : error),
    );
  };
  const lane = (name: "rpc" | "access" | "events") => guard.stats().lanes[name];
  /** What is decided without any time passing. */
  const now = async <T>(promise: Promise<T> | undefined): Promise<T | undefined> => {
    await time.pass(0);
    return await promise;
  };
  return { now, time, timed, lines, call, sent, lane, opened: () => opened };
}

const refused = () => new NotSent("unreachable", "cannot connect: ECONNREFUSED");
const broken = () => new BackendFailure("unreachable", "the connection broke");

test("so many calls are under way, so many wait in order, and one more is refused at once", async () => {
  const { now, time, call, sent, lane } = backend();
  const calls = [call(), call(), call(), call(), call()];
  expect(await now(calls[4])).toBe("busy");
  await time.pass(0);
  expect(sent).toHaveLength(2);
  expect(lane("rpc")?.waiting).toBe(2);
  sent[0]?.answer({ status: 201 });
  expect(await now(calls[0])).toBe(201);
  await time.pass(0);
  expect(sent).toHaveLength(3);
  sent[2]?.answer({ status: 202 });
  sent[1]?.answer();
  await time.pass(0);
  sent[3]?.answer({ status: 203 });
  expect(await now(Promise.all(calls))).toEqual([201, 200, 202, 203, "busy"]);
  expect(lane("rpc")).toMatchObject({ waiting: 0, outcomes: { answered: 4, busy: 1 } });
});

test("RPCs that hang take no place of who wants to be authenticated, or of events", async () => {
  const { now, time, call, sent } = backend({ queue: 0 });
  const hanging = [call(), call()];
  const others = [call("authenticate"), call("subscribe_acl"), call("on_connected")];
  await time.pass(0);
  expect(sent).toHaveLength(5);
  for (const one of sent.slice(2)) one.answer();
  expect(await now(Promise.all(others))).toEqual([200, 200, 200]);
  await time.pass(1_000);
  expect(await now(Promise.all(hanging))).toEqual(["timeout", "timeout"]);
});

test("the deadline holds while a call waits, and what is left of it is handed on", async () => {
  const { now, time, call, sent, lane } = backend({ concurrency: 1 });
  const first = call("rpc", new Cancel(), 900);
  const second = call("rpc", new Cancel(), 500);
  const third = call("rpc", new Cancel(), 1_000);
  await time.pass(500);
  expect(await now(second)).toBe("timeout");
  expect(sent).toHaveLength(1);
  await time.pass(400);
  expect(await now(first)).toBe("timeout");
  expect(sent[0]?.aborted).toBe(true);
  await time.pass(0);
  expect(sent.map(({ leftMs }) => leftMs)).toEqual([900, 100]);
  sent[1]?.answer();
  expect(await now(third)).toBe(200);
  expect(lane("rpc")?.outcomes).toMatchObject({ answered: 1, timeout: 2 });
});

test("who leaves gives up the call and its place, in the queue as well, and is nobody's failure", async () => {
  const { now, time, call, sent, lane } = backend({
    concurrency: 1,
    circuit: { failures: 1, pauseMs: 9 },
  });
  const [one, two] = [new Cancel(), new Cancel()];
  const calls = [call("rpc", one), call("rpc", two), call()];
  await time.pass(0);
  two.cancel();
  one.cancel();
  await time.pass(0);
  expect(sent[0]?.aborted).toBe(true);
  expect(sent).toHaveLength(2);
  sent[1]?.answer();
  // An answer that comes after all is nothing.
  sent[0]?.answer();
  expect(await now(Promise.all(calls))).toEqual(["cancelled", "cancelled", 200]);
  expect(lane("rpc")).toMatchObject({ circuit: "closed", outcomes: { cancelled: 2, answered: 1 } });
  const gone = new Cancel();
  gone.cancel();
  expect(await now(call("rpc", gone))).toBe("cancelled");
  expect(sent).toHaveLength(2);
});

test("a place that is given to a call that is cancelled in the same moment is not lost", async () => {
  // The place is handed on in one of the microtasks after an answer.
  for (let hops = 0; hops < 20; hops++) {
    const { now, time, call, sent } = backend({ concurrency: 1 });
    const cancel = new Cancel();
    const calls = [call(), call("rpc", cancel)];
    await time.pass(0);
    sent[0]?.answer();
    for (let hop = 0; hop < hops; hop++) await undefined;
    cancel.cancel();
    expect(await now(Promise.all(calls))).toEqual([200, "cancelled"]);
    const third = call();
    await time.pass(0);
    sent.at(-1)?.answer();
    expect(await now(third)).toBe(200);
  }
});

test("a caller's deadline that has passed is a timeout of the backend", async () => {
  const { now, time, call, lane } = backend();
  const cancel = new Cancel();
  const calling = call("rpc", cancel);
  await time.pass(0);
  cancel.cancel(true);
  expect(await now(calling)).toBe("timeout");
  expect(lane("rpc")?.outcomes).toMatchObject({ timeout: 1, cancelled: 0 });
});

test("who has a deadline that is not longer keeps the time alone", async () => {
  const { now, time, timed, call, sent } = backend();
  const same = new Cancel(1_000);
  const calls = [call("rpc", same), call("rpc", new Cancel(1_001))];
  await time.pass(0);
  expect(timed).toEqual([1_000]);
  sent[0]?.answer();
  expect(await now(calls[0])).toBe(200);
  await time.pass(1_000);
  expect(await now(calls[1])).toBe("timeout");
  const late = call("rpc", same);
  await time.pass(0);
  same.cancel(true);
  expect(await now(late)).toBe("timeout");
});

test("what was not sent is sent again, once and within the time, whatever it is", async () => {
  for (const hook of ["rpc", "authenticate", "on_connected"]) {
    const { now, time, call, sent, lane } = backend();
    const calling = call(hook);
    await time.pass(0);
    sent[0]?.fail(refused());
    await time.pass(100);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.leftMs).toBeLessThan(960);
    sent[1]?.answer();
    expect(await now(calling)).toBe(200);
    const name = hook === "rpc" ? "rpc" : hook === "authenticate" ? "access" : "events";
    expect(lane(name)).toMatchObject({ retries: 1, outcomes: { answered: 1, unreachable: 0 } });
    const other = call(hook);
    await time.pass(0);
    sent[2]?.fail(refused());
    await time.pass(100);
    sent[3]?.fail(refused());
    expect(await now(other)).toBe("unreachable");
    expect(sent).toHaveLength(4);
  }
});

test("what may have been done is done again only where that changes nothing", async () => {
  for (const failure of [broken(), { status: 502 }, { status: 503 }, { status: 504 }]) {
    for (const [hook, times] of [
      ["rpc", 1],
      ["on_connected", 1],
      ["authenticate", 2],
      ["subscribe_acl", 2],
    ] as const) {
      const { now, time, call, sent } = backend();
      const calling = call(hook);
      await time.pass(0);
      if (failure instanceof BackendFailure) sent[0]?.fail(failure);
      else sent[0]?.answer(failure);
      await time.pass(100);
      expect(sent, `${hook}`).toHaveLength(times);
      sent[1]?.answer({ status: 204 });
      const expected = failure instanceof BackendFailure ? "unreachable" : failure.status;
      expect(await now(calling)).toBe(times === 1 ? expected : 204);
    }
  }
});

test("an answer that is not read is not asked for again", async () => {
  for (const reason of ["too_large", "redirect", "encoding", "answer"] as const) {
    const { now, time, call, sent, lane } = backend();
    const calling = call("authenticate");
    await time.pass(0);
    sent[0]?.fail(new BackendFailure(reason, "no"));
    expect(await now(calling)).toBe(reason);
    await time.pass(200);
    expect(sent).toHaveLength(1);
    expect(lane("access")?.circuit).toBe("closed");
  }
});

test("a backend that fails is not asked, until one call has found out that it works", async () => {
  const { now, time, lines, call, sent, lane, opened } = backend({ concurrency: 10 });
  const fail = async () => {
    const calling = call();
    await time.pass(0);
    sent.at(-1)?.fail(broken());
    return await now(calling);
  };
  // A call that is answered begins the count anew.
  await fail();
  await fail();
  const answered = call();
  await time.pass(0);
  sent.at(-1)?.answer();
  await now(answered);
  const early = call("rpc", new Cancel(), 60_000);
  await time.pass(0);
  const began = sent.at(-1);
  for (let i = 0; i < 3; i++) expect(await fail()).toBe("unreachable");
  expect(lane("rpc")?.circuit).toBe("open");
  expect(opened()).toBe(1);
  const before = sent.length;
  expect(await now(call())).toBe("circuit_open");
  // What began before says nothing of now.
  began?.answer();
  expect(await now(early)).toBe(200);
  expect(await now(call())).toBe("circuit_open");
  expect(sent).toHaveLength(before);
  // Another lane is another circuit.
  const asking = call("authenticate");
  await time.pass(0);
  sent.at(-1)?.answer();
  expect(await now(asking)).toBe(200);

  await time.pass(5_000);
  const probe = call();
  await time.pass(0);
  expect(lane("rpc")?.circuit).toBe("half_open");
  expect(await now(call())).toBe("circuit_open");
  sent.at(-1)?.fail(refused());
  // It is sent once.
  expect(await now(probe)).toBe("unreachable");
  expect(await now(call())).toBe("circuit_open");

  await time.pass(5_000);
  const cancel = new Cancel();
  const left = call("rpc", cancel);
  await time.pass(0);
  cancel.cancel();
  expect(await now(left)).toBe("cancelled");
  const next = call();
  await time.pass(0);
  sent.at(-1)?.answer();
  expect(await now(next)).toBe(200);
  expect(lane("rpc")?.circuit).toBe("closed");
  const both = [call(), call()];
  await time.pass(0);
  for (const one of sent.slice(-2)) one.answer();
  expect(await now(Promise.all(both))).toEqual([200, 200]);
  expect(lines).toEqual([
    ["a backend fails and is not asked for a while", { backend: "shop", calls: "rpc" }],
    ["a backend works again", { backend: "shop", calls: "rpc" }],
  ]);
});

test("a circuit that opens refuses those that wait for a place", async () => {
  const { now, time, call, sent } = backend({
    concurrency: 1,
    queue: 5,
    circuit: { failures: 1, pauseMs: 5_000 },
  });
  const calls = [call(), call(), call()];
  await time.pass(0);
  sent[0]?.fail(broken());
  expect(await now(Promise.all(calls))).toEqual(["unreachable", "circuit_open", "circuit_open"]);
  expect(sent).toHaveLength(1);
});

test("a gateway that says that nothing is behind it opens the circuit, and an error of the application does not", async () => {
  const { now, time, call, sent, lane } = backend();
  const answer = async (status: number) => {
    const calling = call();
    await time.pass(0);
    sent.at(-1)?.answer({ status });
    return await now(calling);
  };
  for (let i = 0; i < 5; i++) expect(await answer(500)).toBe(500);
  expect(lane("rpc")?.circuit).toBe("closed");
  for (let i = 0; i < 3; i++) expect(await answer(503)).toBe(503);
  expect(lane("rpc")).toMatchObject({ circuit: "open", outcomes: { status: 3, answered: 5 } });
});
