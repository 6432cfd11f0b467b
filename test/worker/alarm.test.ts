/** Alarms whose work fails: the runtime repeats a handler that throws only while it has set no other alarm. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { SharedAlarm } from "../../src/objects/alarm.ts";
import { ChannelLife } from "../../src/objects/channel/life.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { PatternIndex } from "../../src/objects/pattern-index/life.ts";
import { eventually } from "../support/eventually.ts";
import { delay } from "../support/platform.ts";
import { Client, freshChannel } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const HOUR_MS = 3_600_000;
/** A failed alarm comes again within this time, in milliseconds. */
const SOON_MS = 5_000;
/** How much later it may be seen to have come. */
const PATIENT = { timeout: SOON_MS + 10_000 };

function scripted() {
  const clock = { time: 1_000_000, now: () => clock.time };
  const set: number[] = [];
  const storage: { setAlarm(at: number): unknown } = { setAlarm: (at) => set.push(at) };
  const warnings: string[] = [];
  const logger = {
    warn: (message: string): void => {
      warnings.push(message);
    },
  };
  return { clock, set, storage, warnings, alarm: new SharedAlarm(storage, { clock, logger }) };
}

test("work that fails is repeated for as long as it fails, less and less often, and warned of once a minute", async () => {
  const { alarm, clock, set, warnings } = scripted();
  const fail = async (): Promise<void> => {
    // The need of something else, which would have to do as the next alarm.
    alarm.by(clock.time + HOUR_MS);
    throw new Error("fault");
  };
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    await alarm.come(fail);
    const at = set.at(-1) ?? 0;
    pauses.push(at - clock.time);
    clock.time = at;
  }
  expect(pauses).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  // At once, and then after 62, 122 and 182 seconds: the test moves the only clock.
  expect(warnings).toEqual(["alarms fail", "alarms fail", "alarms fail", "alarms fail"]);
  await alarm.come(async () => {});
  set.length = 0;
  await alarm.come(fail);
  expect(set).toEqual([clock.time + HOUR_MS, clock.time + 2_000]);
});

test("an alarm that was not stored is not relied on", async () => {
  const { alarm, clock, set, storage, warnings } = scripted();
  storage.setAlarm = async () => {
    throw new Error("fault");
  };
  alarm.by(clock.time + 10);
  await delay(0);
  storage.setAlarm = (at) => set.push(at);
  alarm.by(clock.time + 20);
  expect(set).toEqual([clock.time + 20]);
  expect(warnings).toEqual(["background work failed"]);
});

/** When the object's alarm comes, in milliseconds from now; undefined when there is none. */
async function due(stub: DurableObjectStub): Promise<number | undefined> {
  return await runInDurableObject(stub, async (_, state) => {
    const at = await state.storage.getAlarm();
    return at === null ? undefined : at - Date.now();
  });
}

/** Lets the alarm come, as the runtime does. What the handler throws is not caught. */
async function come(stub: DurableObjectStub): Promise<void> {
  await runInDurableObject(stub, async (instance, state) => {
    await state.storage.deleteAlarm();
    await (instance as unknown as { alarm(): Promise<void> }).alarm();
  });
}

test("a channel whose alarm fails does its work soon", async () => {
  const channel = freshChannel();
  await Client.connect({ gateway: "sam-30", subscribe: [channel] });
  const stub = exports.ChannelDurableObject.getByName(channel);
  let done = 0;
  const work = vi.spyOn(ChannelLife.prototype, "alarm");
  work.mockRejectedValueOnce(new Error("fault"));
  await come(stub);
  expect(await due(stub)).toBeLessThan(SOON_MS);
  work.mockImplementation(async () => {
    done += 1;
  });
  await vi.waitUntil(() => done === 1, PATIENT);
});

test("a gateway whose alarm fails does its work soon", async () => {
  const client = await Client.connect({ gateway: "sam-31" });
  const stub = exports.GatewayDurableObject.getByName("sam-31");
  const sweep = vi.spyOn(ObjectBroker.prototype, "sweep");
  sweep.mockRejectedValueOnce(new Error("fault"));
  await come(stub);
  expect(await due(stub)).toBeLessThan(SOON_MS);
  await vi.waitUntil(() => sweep.mock.calls.length === 2, PATIENT);
  await vi.waitUntil(async () => ((await due(stub)) ?? 0) > SOON_MS, PATIENT);
  expect(client.close).toBeUndefined();
});

test("a connection that comes while the gateway's alarm is at work has its alarm as well", async () => {
  const stub = exports.GatewayDurableObject.getByName("sam-32");
  const first = await Client.connect({ gateway: "sam-32" });
  let [reached, released] = [false, false];
  vi.spyOn(ObjectBroker.prototype, "sweep").mockImplementationOnce(async () => {
    reached = true;
    while (!released) await delay(5);
  });
  const coming = come(stub);
  await eventually(() => reached);
  const second = await Client.connect({ gateway: "sam-32" });
  first.socket.close(1000);
  await first.closed();
  released = true;
  await coming;
  expect(await due(stub)).toBeGreaterThan(0);
  expect(second.close).toBeUndefined();
});

test("an index whose alarm fails does its work soon", async () => {
  const stub = exports.PatternDurableObject.getByName("index-63");
  const work = vi.spyOn(PatternIndex.prototype, "alarm");
  work.mockImplementationOnce(() => {
    throw new Error("fault");
  });
  await come(stub);
  expect(await due(stub)).toBeLessThan(SOON_MS);
  await vi.waitUntil(() => work.mock.calls.length === 2, PATIENT);
});
