/** Tokens that expire: who is told, who is closed with what, and what a new token on the connection changes. */
import { expect, test } from "vitest";
import type { Identity } from "../../src/engine/ports/identity.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  connectWith,
  kinds,
  type SceneOptions,
  type ScriptedTransport,
  scene,
  send,
} from "./scene.ts";

const START = 1_000_000;
const MINUTE_MS = 60_000;
const NOTICE_MS = 30_000;

/** Tokens are JSON of what they stand for. */
const authenticate = async ({ token }: { token: string }): Promise<Identity> => {
  if (token === "down") throw new Error("no route to 10.1.2.3");
  if (token === "bad") throw new MessagingError("INVALID_CREDENTIALS", "bad is no good token");
  return JSON.parse(token);
};

function tokenOf(minutes: number | undefined, userId = "ann"): string {
  const expiresAt = minutes === undefined ? undefined : START + minutes * MINUTE_MS;
  return JSON.stringify({ userId, expiresAt });
}

/** A session whose token expires five minutes from now. */
async function connected(capabilities: readonly string[], options: SceneOptions = {}) {
  const looks: number[] = [];
  const all = scene({
    idleTimeoutMs: 100 * MINUTE_MS,
    backends: { authenticate },
    lookBy: (at) => looks.push(at),
    ...options,
  });
  await connectWith(all.session, { capabilities: [...capabilities], token: tokenOf(5) });
  const at = (ms: number) => {
    all.clock.time = START + ms;
    return all.engine.expire();
  };
  const refresh = async (token: string): Promise<void> =>
    await send(all.session, { id: "r", envelope: { case: "refresh", value: { token } } });
  return { ...all, looks, at, refresh };
}

function told({ frames }: ScriptedTransport): bigint[] {
  return frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    const has = envelope.case === "tokenExpiring" || envelope.case === "refreshAck";
    return has ? [envelope.value.expiresAt] : [];
  });
}

test.each([["refresh"], ["control"]])(
  "a client with %s is told 30 s ahead, once, and closed with 3513 when the token has expired",
  async (capability) => {
    const { at, looks, transport } = await connected([capability]);
    const end = 5 * MINUTE_MS;
    expect(looks).toEqual([START + end - NOTICE_MS]);
    expect(at(end - NOTICE_MS - 1)).toMatchObject({ token: START + end - NOTICE_MS });
    expect(kinds(transport)).toEqual(["connected"]);
    expect(at(end - NOTICE_MS)).toMatchObject({ token: START + end });
    expect(at(end - 1)).toMatchObject({ token: START + end });
    expect(kinds(transport)).toEqual(["connected", "tokenExpiring"]);
    expect(told(transport)).toEqual([BigInt(START + end)]);
    expect(transport.closed).toBeUndefined();
    expect(at(end).token).toBeUndefined();
    expect(transport.closed).toMatchObject({ code: 3513, reason: "token expired" });
  },
);

test("a client that hears of neither is not told, and is closed with 3513", async () => {
  const { at, looks, transport } = await connected(["recovery"]);
  expect(looks).toEqual([START + 5 * MINUTE_MS]);
  at(5 * MINUTE_MS - 1);
  expect(kinds(transport)).toEqual(["connected"]);
  at(5 * MINUTE_MS);
  expect(kinds(transport)).toEqual(["connected"]);
  expect(transport.closed?.code).toBe(3513);
});

test("a v1 client is told nothing and closed with 3500", async () => {
  const { at, transport } = await connected([]);
  at(5 * MINUTE_MS - 1);
  expect(kinds(transport)).toEqual(["connected"]);
  at(5 * MINUTE_MS);
  expect(kinds(transport)).toEqual(["connected"]);
  expect(transport.closed).toMatchObject({ code: 3500, reason: "invalid token" });
});

test("who has little time left is told with the first look", async () => {
  const { at, looks, engine, session, transport } = await connected(["refresh"]);
  session.end(true);
  const short = engine.accept(transport, "t", "json");
  transport.frames.length = 0;
  await connectWith(short, { capabilities: ["refresh"], token: tokenOf(0.25) });
  expect(looks[1]).toBeLessThan(START);
  at(0);
  expect(kinds(transport)).toEqual(["connected", "tokenExpiring"]);
  at(15_000);
  expect(transport.closed?.code).toBe(3513);
});

test("the time of day decides, and not how long the client could be heard", async () => {
  const steady = { lost: 0 };
  const { clock, engine, looks, transport } = await connected(["recovery"]);
  // The host could not read for a minute: that is no silence, but the token grows older.
  Object.assign(clock, { steady: () => clock.time - steady.lost });
  steady.lost = MINUTE_MS;
  clock.time = START + 4 * MINUTE_MS;
  expect(engine.expire().token).toBe(START + 4 * MINUTE_MS);
  clock.time = START + 5 * MINUTE_MS;
  engine.expire();
  expect(transport.closed?.code).toBe(3513);
  expect(looks).toHaveLength(1);
});

test("a new token takes the place of the old one, and its end is told as well", async () => {
  const { at, looks, refresh, transport } = await connected(["refresh"]);
  at(5 * MINUTE_MS - 1_000);
  await refresh(tokenOf(10));
  expect(kinds(transport)).toEqual(["connected", "tokenExpiring", "refreshAck"]);
  expect(looks.at(-1)).toBe(START + 10 * MINUTE_MS - NOTICE_MS);
  expect(at(5 * MINUTE_MS)).toMatchObject({ token: START + 10 * MINUTE_MS - NOTICE_MS });
  expect(transport.closed).toBeUndefined();
  at(10 * MINUTE_MS - NOTICE_MS);
  expect(told(transport)).toEqual(
    [5, 10, 10].map((minutes) => BigInt(START + minutes * MINUTE_MS)),
  );
  at(10 * MINUTE_MS);
  expect(transport.closed?.code).toBe(3513);
});

test("a token without an end keeps the session for good", async () => {
  const { at, refresh, transport } = await connected(["refresh"]);
  await refresh(tokenOf(undefined));
  expect(told(transport)).toEqual([0n]);
  expect(at(50 * MINUTE_MS).token).toBeUndefined();
  expect(transport.closed).toBeUndefined();
});

test("a token of another user, or of nobody, ends the session with 3500", async () => {
  const { refresh, transport } = await connected(["refresh", "control"]);
  await refresh(tokenOf(10, "bob"));
  expect(kinds(transport)).toEqual(["connected", "error AUTH_ERROR", "disconnect"]);
  expect(transport.closed?.code).toBe(3500);
});

test("a token that is refused or cannot be looked at changes nothing, and neither is shown", async () => {
  const lines: string[] = [];
  const note = (text: string, fields?: object) => lines.push(`${text} ${JSON.stringify(fields)}`);
  const { at, refresh, transport } = await connected(["refresh"], {
    logger: { warn: note, debug: note },
  });
  await refresh("bad");
  await refresh("down");
  expect(kinds(transport)).toEqual(["connected", "error INVALID_CREDENTIALS", "error UNAVAILABLE"]);
  expect(transport.frames.join()).not.toContain("10.1.2.3");
  expect(lines.join("\n")).toContain("[redacted] is no good token");
  at(5 * MINUTE_MS);
  expect(transport.closed?.code).toBe(3513);
});

test("one token at a time is looked at, and of a session that ends meanwhile none is taken", async () => {
  const { promise: decided, resolve: decide } = Promise.withResolvers<Identity>();
  let calls = 0;
  const { refresh, session, transport } = await connected(["refresh"], {
    backends: {
      authenticate: async (request) => {
        calls += 1;
        return calls === 1 ? await authenticate(request) : await decided;
      },
    },
  });
  const first = refresh("x");
  await refresh("y");
  expect(kinds(transport)).toEqual(["connected", "error RATE_LIMITED"]);
  session.end(true);
  decide({ userId: "ann" });
  await first;
  expect(kinds(transport)).toEqual(["connected", "error RATE_LIMITED"]);
  expect(calls).toBe(2);
});

test("refresh needs its capability, and somebody who authenticates", async () => {
  const without = await connected(["recovery"]);
  await without.refresh(tokenOf(10));
  expect(kinds(without.transport)).toEqual(["connected", "error BAD_REQUEST"]);
  const open = await connected(["refresh"], { backends: {} });
  await open.refresh(tokenOf(10));
  expect(kinds(open.transport)).toEqual(["connected", "error UNIMPLEMENTED"]);
});

test("a session that has slept knows when its token expires, and whether it has told so", async () => {
  const { at, clock, engine, session, transport } = await connected(["refresh"]);
  at(5 * MINUTE_MS - NOTICE_MS);
  const record = session.record();
  session.end(true);
  transport.frames.length = 0;
  engine.restore(transport, record);
  at(5 * MINUTE_MS - 1);
  expect(kinds(transport)).toEqual([]);
  clock.time = START + 5 * MINUTE_MS;
  engine.expire();
  expect(transport.closed?.code).toBe(3513);
});
