/** Who is silent, by a clock that may be set and a machine that may stand still (S3, S6). */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { ConnectWatch } from "../../src/worker/gateway/connect-watch.ts";
import { Client } from "./socket.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const IDLE_MS = 300_000;
const HOUR_MS = 3_600_000;

let shift = 0;

/** Sets the clock of the machine. */
function setClock(ms: number): void {
  const now = Date.now.bind(Date);
  if (!vi.isMockFunction(Date.now)) {
    shift = 0;
    vi.spyOn(Date, "now").mockImplementation(() => now() + shift);
  }
  shift += ms;
}

/** Lets the gateway fall asleep, and its alarm come. */
async function look(gateway: string): Promise<void> {
  const stub = exports.GatewayDurableObject.getByName(gateway);
  await evictDurableObject(stub).catch(() => {
    // It sleeps already.
  });
  await runInDurableObject(stub, async (instance, state) => {
    await state.storage.deleteAlarm();
    await (instance as unknown as { alarm(): Promise<void> }).alarm();
  });
}

test("a clock that is set forward closes nobody who lives, and who does not is closed one idle timeout later", async () => {
  const [living, dead] = [
    await Client.connect({ gateway: "sam-20" }),
    await Client.connect({ gateway: "sam-20" }),
  ];
  for (const step of [HOUR_MS, IDLE_MS - 60_000]) {
    setClock(step);
    await look("sam-20");
    await living.ping();
    expect(dead.close).toBeUndefined();
  }
  setClock(70_000);
  await look("sam-20");
  expect(await dead.closed()).toMatchObject({ code: 3511 });
  await living.ping();
  setClock(HOUR_MS);
  await look("sam-20");
  await living.ping();
});

test("a clock that is set back keeps nobody for longer than that", async () => {
  setClock(HOUR_MS);
  const dead = await Client.connect({ gateway: "sam-21" });
  setClock(-HOUR_MS);
  await look("sam-21");
  for (const step of [IDLE_MS + 1_000, IDLE_MS + 1_000]) {
    expect(dead.close).toBeUndefined();
    setClock(step);
    await look("sam-21");
  }
  expect(await dead.closed()).toMatchObject({ code: 3511 });
});

test("time in which a gateway can do nothing counts for no deadline", () => {
  vi.useFakeTimers();
  let stalled = 0;
  let looks = 0;
  const watch = new ConnectWatch<string>({
    expire: () => {
      looks += 1;
    },
    stalled: (ms) => {
      stalled += ms;
    },
  });
  watch.watch("a");
  vi.advanceTimersByTime(5_000);
  expect([stalled, looks]).toEqual([0, 10]);
  // For twenty seconds no timer comes.
  vi.setSystemTime(Date.now() + 20_000);
  vi.advanceTimersByTime(500);
  expect(stalled).toBe(20_000);
  watch.settled("a");
  vi.advanceTimersByTime(5_000);
  expect(looks).toBe(11);
  expect(vi.getTimerCount()).toBe(0);
});

test("a connection is not ended for a stall of its gateway", async () => {
  const client = await Client.open({ gateway: "sam-22" });
  const stub = exports.GatewayDurableObject.getByName("sam-22");
  // The gateway's timer comes much later than it should have.
  setClock(60_000);
  await runInDurableObject(stub, async () => {
    await new Promise((resolve) => setTimeout(resolve, 700));
  });
  expect(client.close).toBeUndefined();
  expect((await client.connect()).envelope.case).toBe("connected");
});
