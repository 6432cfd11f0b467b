/** Every scalar of every frame at its extremes, through sessions on the memory broker. */
import { expect, test } from "vitest";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { boundaryFrames } from "../boundary/frames.ts";
import { decodeStrict, sweep } from "../boundary/sweep.ts";
import { ManualTimers, sceneWith } from "./scene.ts";

test("every scalar at its extremes: receive never rejects, and every frame written decodes", async () => {
  const clock = { now: () => 1_700_000_000_000 };
  const broker = new MemoryBroker({
    clock,
    timers: new ManualTimers(),
    random: { epoch: () => "epoch" },
    nextTurn: (callback) => {
      setImmediate(callback);
    },
  });
  const rules = new RuleBook([], { ...DEFAULT_CHANNEL_RULES, survey: true });
  const { engine } = sceneWith(broker, { rules });
  const { sent, written, problems } = await sweep(engine, {
    channel: "boundary.room",
    together: 8,
  });
  expect(problems).toEqual([]);
  expect(sent).toBeGreaterThan(5_000);
  expect(written).toBeGreaterThan(sent);
  expect(engine.stats()).toMatchObject({ openSurveys: 0, surveySilent: 0 });
  expect(engine.stats().surveys).toBeGreaterThan(100);
});

test("the sweep reaches every field that a client may send", () => {
  const named = { channel: "a.b", epoch: "e", pattern: "a.*" };
  const names = boundaryFrames("proto", true, named).map(({ name }) => name);
  for (const place of [
    "connect.subscriptions.since.offset = 18446744073709551615",
    "connect.subscriptions.positions.offset = 18446744073709551615",
    "subscribe.subscriptions.rewind = 4294967295",
    "history_request.limit = -2147483648",
    "received.bytes = 18446744073709551615",
    "publish.attributes.ce_timestamp.seconds = -9223372036854775808",
    "rpc_request.attributes.ce_integer = -2147483648",
    "ping: time = 18446744073709551615",
    "survey_request.timeout_ms = 4294967295",
    "survey_request.others_only = true",
    "survey_response.error.metadata = {}",
  ]) {
    expect(names).toContain(place);
  }
});

test("the strict decoder refuses what no encoding carries", () => {
  const frame = '{"id":"1","publish_ack":{"offset":"18446744073709551616"}}';
  expect(() => decodeStrict(frame)).toThrow();
  expect(() => decodeStrict('{"unknown":1}')).toThrow();
  expect(() => decodeStrict(Uint8Array.of(0x50, 0x01))).toThrow();
  expect(decodeStrict('{"id":"1","pong":{}}').id).toBe("1");
});
