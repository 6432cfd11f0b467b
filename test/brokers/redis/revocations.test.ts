/** When the nodes of a Redis end the sessions of revoked tokens, with time in the test's hand. */
import { expect, test } from "vitest";
import { RedisRevocations } from "../../../src/brokers/redis/directory/revocations.ts";
import { RedisKeys } from "../../../src/brokers/redis/keys.ts";
import { BEAT_MS } from "../../../src/brokers/redis/nodes.ts";
import { Troubles } from "../../../src/brokers/redis/outage/troubles.ts";
import {
  RedisFailure,
  type RedisReply,
  type RedisScript,
} from "../../../src/brokers/redis/ports.ts";
import type { Revocation } from "../../../src/engine/ports/revocations.ts";
import { Time } from "../../objects/time.ts";

/** Within this time every node has ended the sessions, in milliseconds. */
const SWEPT_MS = 10_000;

/** Nodes of one Redis, of which only what the two scripts do is there. */
function scene() {
  const time = new Time();
  const entries: { score: number; text: string }[] = [];
  let away = false;
  const run = async (
    { name }: RedisScript,
    _keys: readonly string[],
    terms: readonly unknown[],
  ): Promise<RedisReply> => {
    if (away) throw new RedisFailure("offline", "there is no connection");
    if (name === "revoke") {
      for (const text of terms.slice(1).filter((_, i) => i % 2 === 1)) {
        entries.push({ score: time.now() + entries.length, text: `${text}` });
      }
      return [1];
    }
    const fresh = entries.filter(({ score }) => score > Number(terms[0])).slice(0, 1_000);
    return [fresh.flatMap(({ score, text }) => [text, `${score}`])];
  };
  const node = async () => {
    const ended: string[] = [];
    const revocations = new RedisRevocations({
      clock: time,
      timers: time,
      troubles: new Troubles(time, { warn: () => {} }),
      outage: { since: undefined },
      commands: { run, command: async () => null },
      keys: new RedisKeys("x:"),
      beatMs: BEAT_MS,
    });
    revocations.start((some) => ended.push(...some.map(({ tokenId }) => tokenId)));
    await revocations.begin();
    return { revocations, ended };
  };
  const one = (tokenId: string): Revocation => {
    const now = time.now();
    return { userId: "ann", tokenId, time: now, until: now + 3_600_000 };
  };
  return {
    time,
    node,
    one,
    setAway: (value: boolean) => {
      away = value;
    },
  };
}

test("another node ends them within 10 s, whenever it looked last and although one look failed", async () => {
  for (let wait = 0; wait < BEAT_MS; wait += 499) {
    const { node, one, setAway, time } = scene();
    const [here, there] = [await node(), await node()];
    await time.pass(wait);
    await time.until(here.revocations.revoke(one("t1")));
    expect(here.ended).toEqual(["t1"]);
    setAway(true);
    await time.pass(SWEPT_MS / 2 - 1);
    setAway(false);
    await time.pass(SWEPT_MS / 2 + 1);
    expect([wait, there.ended]).toEqual([wait, ["t1"]]);
    expect(there.revocations.revoked({ userId: "ann", tokenId: "t1" })).toBe(true);
    // And once.
    await time.pass(3 * BEAT_MS);
    expect([here.ended, there.ended]).toEqual([["t1"], ["t1"]]);
    for (const { revocations } of [here, there]) revocations.end();
  }
});

test("while Redis is away nothing is revoked, and what was is still known", async () => {
  const { node, one, setAway, time } = scene();
  const { revocations } = await node();
  await time.until(revocations.revoke(one("t1")));
  setAway(true);
  await expect(time.until(revocations.revoke(one("t2")))).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  expect(revocations.revoked({ userId: "ann", tokenId: "t1" })).toBe(true);
  expect(revocations.revoked({ userId: "ann", tokenId: "t2" })).toBe(false);
  revocations.end();
});

test("a node that cannot read what is revoked does not begin", async () => {
  const { node, setAway } = scene();
  setAway(true);
  await expect(node()).rejects.toThrow("no connection");
});
