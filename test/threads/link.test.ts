/** The line between two threads, over real ports: nothing lost, nothing twice, in order, within its bounds. */
import { MessageChannel } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import type { Request } from "../../src/threads/calls/frames.ts";
import { type Line, Link, newMemory, type Port } from "../../src/threads/calls/link.ts";
import { ALL_METHODS, methodNumber } from "../../src/threads/calls/methods.ts";
import { seed, seededRandom, steps } from "../support/random.ts";

const PUBLISH = methodNumber("channel", "publish");
const ECHO = async ({ body }: Request): Promise<Uint8Array> => body.slice();

const endOfTurn = (callback: () => void): void => {
  setImmediate(callback);
};

const open: Link[] = [];
afterEach(() => {
  for (const link of open.splice(0)) link.end();
});

interface Sides {
  readonly left: Link;
  readonly right: Link;
  /** Sizes of what was posted by the left side; 0 for an acknowledgement. */
  readonly posted: number[];
}

function pair(serveRight: Serve): Sides {
  const { port1, port2 } = new MessageChannel();
  const posted: number[] = [];
  const watched: Port = {
    postMessage: (value, transfer) => {
      posted.push(value instanceof Uint8Array ? value.length : 0);
      port1.postMessage(value, transfer);
    },
    on: (event, listener) => port1.on(event, listener as (value: unknown) => void),
    close: () => port1.close(),
  };
  const [left, right] = linked(watched, port2, ECHO, serveRight);
  return { left, right, posted };
}

type Serve = (request: Request) => Promise<Uint8Array | undefined>;

/** Both ends of a line, whose memory they share. */
function linked(
  leftPort: Port,
  rightPort: Port,
  serveLeft: Serve,
  serveRight: Serve,
): readonly [left: Link, right: Link] {
  const memory = newMemory();
  const end = (port: Port, side: Line["side"], serve: Serve): Link => {
    const link = new Link({ endOfTurn, serve });
    link.open({ port, memory, side });
    open.push(link);
    return link;
  };
  return [end(leftPort, 0, serveLeft), end(rightPort, 1, serveRight)];
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

test("a call has its method, its object and its bytes, and gets its answer", async () => {
  const { left } = pair(async ({ method, name, body }) => {
    const { kind, name: called } = ALL_METHODS[method] ?? {};
    return bytes(`${kind} ${called} ${name} ${text(body)}`);
  });
  const answer = await left.call(PUBLISH, "chat.é😀", bytes("x"));
  expect(text(answer)).toBe("channel publish chat.é😀 x");
});

test("an answer may be nothing, or empty", async () => {
  const { left } = pair(async ({ name }) => (name === "nothing" ? undefined : new Uint8Array()));
  expect(await left.call(PUBLISH, "nothing", bytes("x"))).toBeUndefined();
  expect(await left.call(PUBLISH, "empty", new Uint8Array())).toEqual(new Uint8Array());
});

test("an error of the object arrives with its fields, as one of another side", async () => {
  const { left } = pair(async ({ name }) => {
    const fields = name === "stated" ? { code: "RATE_LIMITED" } : { overloaded: true };
    throw Object.assign(new TypeError("too many"), fields);
  });
  const stated = left.call(PUBLISH, "stated", bytes(""));
  await expect(stated).rejects.toMatchObject({
    message: "too many",
    remote: true,
    code: "RATE_LIMITED",
  });
  await expect(stated).rejects.not.toBeInstanceOf(TypeError);
  await expect(left.call(PUBLISH, "full", bytes(""))).rejects.toMatchObject({
    remote: true,
    overloaded: true,
  });
});

test("all calls of one turn leave in one piece", async () => {
  const { left, posted } = pair(ECHO);
  await Promise.all(Array.from({ length: 100 }, (_, i) => left.call(PUBLISH, "a", bytes(`${i}`))));
  // Nor does the other side wait to hear that the piece with the answers was taken up.
  await new Promise((resolve) => setImmediate(resolve));
  expect(posted).toHaveLength(1);
});

test("what is handed over is copied, so that pooled memory stays", async () => {
  const { left } = pair(ECHO);
  const pooled = Buffer.from("pooled");
  expect(pooled.buffer.byteLength).toBeGreaterThan(pooled.length);
  expect(text(await left.call(PUBLISH, "a", pooled))).toBe("pooled");
  expect(pooled.toString()).toBe("pooled");
});

test("the next batch waits until the last one was taken up", async () => {
  let most = 0;
  let [sent, taken] = [0, 0];
  const { port1, port2 } = new MessageChannel();
  const watched: Port = {
    postMessage: (value, transfer) => {
      if (value instanceof Uint8Array) {
        sent += 1;
        most = Math.max(most, sent - taken);
      }
      port1.postMessage(value, transfer);
    },
    on: (event, listener) => port1.on(event, listener as (value: unknown) => void),
    close: () => port1.close(),
  };
  port2.on("message", (value) => {
    if (value instanceof Uint8Array) taken += 1;
  });
  const [left] = linked(watched, port2, ECHO, ECHO);
  const big = new Uint8Array(100_000);
  await Promise.all(Array.from({ length: 60 }, () => left.call(PUBLISH, "a", big)));
  expect(sent).toBeGreaterThan(20);
  expect(most).toBe(1);
});

test("calls beyond the bound fail as overloaded, and those within are carried out", async () => {
  let carried = 0;
  const { left, posted } = pair(async () => {
    carried += 1;
    return undefined;
  });
  const big = new Uint8Array(1024 * 1024);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, () => left.call(PUBLISH, "a", big)),
  );
  const refused = outcomes.filter(({ status }) => status === "rejected");
  expect(refused.length).toBeGreaterThan(50);
  expect(refused[0]).toMatchObject({ reason: { overloaded: true } });
  expect(carried).toBe(100 - refused.length);
  // A piece has one frame, or is within its bound.
  expect(Math.max(...posted)).toBeLessThan(1.1 * big.length);
  expect(left.waitingBytes).toBe(0);
});

test("a flooded line leaves its thread its timers", async () => {
  const { left } = pair(ECHO);
  let longest = 0;
  let last = performance.now();
  const looks = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const body = new Uint8Array(200);
  const end = performance.now() + 1_000;
  let turns = 0;
  while (performance.now() < end) {
    const calls = Array.from({ length: 2_000 }, () => left.call(PUBLISH, "a", body));
    await Promise.all(calls);
    turns += 1;
  }
  clearInterval(looks);
  expect(turns).toBeGreaterThan(5);
  expect(longest).toBeLessThan(500);
});

test("calls that are made before there is a port leave when it has come, in their order", async () => {
  const heard: string[] = [];
  const { port1, port2 } = new MessageChannel();
  const memory = newMemory();
  const left = new Link({ endOfTurn, serve: ECHO });
  const right = new Link({
    endOfTurn,
    serve: async ({ body }) => {
      heard.push(text(body));
      return body.slice();
    },
  });
  open.push(left, right);
  const early = ["1", "2"].map((name) => left.call(PUBLISH, "a", bytes(name)));
  await new Promise((resolve) => setImmediate(resolve));
  right.open({ port: port2, memory, side: 1 });
  left.open({ port: port1, memory, side: 0 });
  const late = left.call(PUBLISH, "a", bytes("3"));
  expect((await Promise.all([...early, late])).map(text)).toEqual(["1", "2", "3"]);
  expect(heard).toEqual(["1", "2", "3"]);
});

test("what waits for a port has the bound of what waits for a thread", async () => {
  const left = new Link({ endOfTurn, serve: ECHO });
  open.push(left);
  const big = new Uint8Array(1024 * 1024);
  const calls = Array.from({ length: 40 }, () => left.call(PUBLISH, "a", big));
  for (const call of calls) call.catch(() => {});
  await expect(calls.at(-1)).rejects.toMatchObject({ overloaded: true });
  left.end();
  await expect(calls[0]).rejects.toMatchObject({ retryable: true });
});

test("with its end every call fails, and so does the next one", async () => {
  const { left, right } = pair(() => new Promise(() => {}));
  const waiting = [left.call(PUBLISH, "a", bytes("1")), left.call(PUBLISH, "a", bytes("2"))];
  await new Promise((resolve) => setTimeout(resolve, 20));
  right.end();
  for (const call of waiting) {
    await expect(call).rejects.toMatchObject({ message: "the thread has ended", retryable: true });
  }
  await expect(left.call(PUBLISH, "a", bytes("3"))).rejects.toMatchObject({ retryable: true });
  expect(left.calls).toBe(0);
});

test("random calls in both directions: each once, in order, or failed by the end", async () => {
  const random = seededRandom(seed());
  for (let life = 0; life < steps(20); life++) {
    const heard: Record<string, number[]> = {};
    const serve =
      (side: string) =>
      async ({ name, body }: Request): Promise<Uint8Array | undefined> => {
        heard[`${side} ${name}`] ??= [];
        heard[`${side} ${name}`]?.push(Number(text(body)));
        if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
        if (random.chance(0.1)) throw new Error(text(body));
        return body.slice();
      };
    const { port1, port2 } = new MessageChannel();
    const [left, right] = linked(port1, port2, serve("right"), serve("left"));
    const links = { left, right };
    const dies = random.chance(0.5);
    const sent: Record<string, number> = {};
    const outcomes: Promise<string>[] = [];
    for (let step = 0; step < 300; step++) {
      const side = random.pick(["left", "right"] as const);
      const name = random.pick(["a", "b", "c"]);
      const key = `${side} ${name}`;
      const number = sent[key] ?? 0;
      sent[key] = number + 1;
      outcomes.push(
        links[side].call(PUBLISH, name, bytes(`${number}`)).then(
          (answer) => (text(answer) === `${number}` ? "answered" : "wrong"),
          (error: Error) => {
            if (error.message === "the thread has ended") return "ended";
            return error.message === `${number}` ? "refused" : "wrong";
          },
        ),
      );
      if (random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve));
      if (dies && step === 250) random.pick(Object.values(links)).end();
    }
    const settled = await Promise.all(outcomes);
    expect(settled).not.toContain("wrong");
    if (!dies) expect(settled).not.toContain("ended");
    for (const [key, numbers] of Object.entries(heard)) {
      // Nothing is left out before the end, and nothing comes twice.
      expect(numbers, `life ${life}, ${key}`).toEqual(numbers.map((_, index) => index));
      if (!dies) expect(numbers).toHaveLength(sent[key] ?? 0);
    }
    const carried = Object.values(heard).reduce((sum, numbers) => sum + numbers.length, 0);
    const answered = settled.filter((one) => one !== "ended").length;
    expect(carried).toBeGreaterThanOrEqual(answered);
  }
});
