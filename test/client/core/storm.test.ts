/** Many clients that lose their server at the same moment: how their tries are spread. */
import { expect, test } from "vitest";
import { createClient } from "../../../src/client/dial.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import { seed, seededRandom } from "../../support/random.ts";
import { ScriptedTransport } from "./scripted.ts";

const CLIENTS = 1_000;
const WINDOW_MS = 100;
const MOST_SHARE = 0.3;
const RETRY_AFTER_MS = 3_000;

/** Clients with connections that stand and have lasted. */
async function crowd() {
  const random = seededRandom(seed());
  const clock = new ManualClock(undefined, random.next);
  let tries: { readonly at: number; readonly transport: ScriptedTransport }[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    createClient("ws://scripted", {
      clock,
      transport: {
        name: "scripted",
        open(url, subprotocol, events) {
          const transport = new ScriptedTransport(url, subprotocol, events);
          tries.push({ at: clock.elapsed(), transport });
          return transport;
        },
      },
    });
  }
  for (const { transport } of tries) transport.connect();
  await clock.advance(60_000);
  return {
    /** Does something to all connections, and returns when they are tried again, in milliseconds from then on. */
    async strike(blow: (transport: ScriptedTransport) => void, withinMs: number) {
      const began = clock.elapsed();
      const all = tries;
      tries = [];
      for (const { transport } of all) blow(transport);
      await clock.advance(withinMs);
      return tries.map(({ at }) => at - began);
    },
  };
}

/** The largest share of all that 100 ms hold, wherever they begin. */
function share(times: readonly number[]): number {
  const most = times.map(
    (from) => times.filter((time) => time >= from && time - from < WINDOW_MS).length,
  );
  return Math.max(...most) / times.length;
}

const cut = (transport: ScriptedTransport): void => transport.end(1006);

test("tries after a cut are spread over half a second, and over the double after each that fails", async () => {
  const { strike } = await crowd();
  let shareBefore = MOST_SHARE;
  for (const withinMs of [500, 1_000, 2_000, 4_000]) {
    const times = await strike(cut, withinMs);
    expect(times).toHaveLength(CLIENTS);
    expect(share(times)).toBeLessThanOrEqual(shareBefore);
    shareBefore = share(times);
  }
});

test("nobody tries before the time that the server has named to all, and they do not come together after it", async () => {
  const { strike } = await crowd();
  const times = await strike((transport) => {
    const told = { code: 3512, reason: "server going away", reconnect: true };
    transport.frame({ disconnect: { ...told, retry_after_ms: RETRY_AFTER_MS } });
    transport.end(3512);
  }, RETRY_AFTER_MS + 500);
  expect(times).toHaveLength(CLIENTS);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(RETRY_AFTER_MS);
  expect(share(times)).toBeLessThanOrEqual(MOST_SHARE);
});
