/** Numbers that a client may send and no log, connection or clock has. */
import { expect, test } from "vitest";
import {
  countOf,
  positionMessage,
  positionOf,
  uint64Of,
} from "../../src/engine/subscription/positions.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { type Init, kinds, scene, send } from "./scene.ts";

const MAX = 2n ** 64n - 1n;
const BEYOND = [2n ** 53n, 2n ** 63n, MAX];

test("what comes in is cut to what a double holds, and what goes out the wire can carry", () => {
  for (const offset of BEYOND) expect(countOf(offset)).toBe(Number.MAX_SAFE_INTEGER);
  expect(countOf(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
  expect(countOf(-1n)).toBe(0);
  for (const number of [Number.NaN, Number.NEGATIVE_INFINITY, -1, -0, 0.5]) {
    expect(uint64Of(number)).toBe(0n);
  }
  expect(uint64Of(1.5)).toBe(1n);
  for (const number of [2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY]) {
    expect(uint64Of(number)).toBe(2n ** 53n - 1n);
  }
  const position = { epoch: "e", offset: 7 };
  expect(positionOf(positionMessage(position))).toEqual(position);
});

test("[SPEC-C6] a position beyond 2^53 is beyond any head: epoch_changed, and the subscription lives", async () => {
  for (const offset of BEYOND) {
    const { session, transport, engine } = scene();
    const since = { epoch: "e", offset };
    const join: Init = {
      envelope: {
        case: "connect",
        value: {
          capabilities: ["recovery", "history"],
          subscriptions: [
            { channel: "room", since },
            { channel: "other.*", since, positions: { "other.room": since } },
          ],
        },
      },
    };
    await send(session, join);
    await send(session, {
      envelope: { case: "subscribe", value: { subscriptions: [{ channel: "next", since }] } },
    });
    const verdicts = transport.frames.flatMap((frame) => {
      const { envelope } = codecFor("json").decodeOutbound(frame);
      return envelope.case === "recovered"
        ? [`${envelope.value.channel} ${envelope.value.gap?.reason}`]
        : [];
    });
    // The pattern's own `since` is a time: nothing of it says that channels may be missing.
    const beyond = ["room", "other.room", "next"].map((channel) => `${channel} epoch_changed`);
    expect(verdicts).toEqual([beyond[0], beyond[1], "other.* undefined", beyond[2]]);
    expect(transport.closed).toBeUndefined();
    expect(engine.hub.subscriptions).toBe(3);

    for (const reverse of [false, true]) {
      const request = { channel: "room", since, limit: -(2 ** 31), reverse };
      await send(session, { envelope: { case: "historyRequest", value: request } });
      const { envelope } = codecFor("json").decodeOutbound(transport.frames.at(-1) ?? "");
      expect(envelope.case === "history" && envelope.value.gap?.reason).toBe("epoch_changed");
    }
  }
});

test("bytes that nobody can have received do not keep other sessions from being remembered", async () => {
  const { session, transport, engine, timers } = scene();
  const value = { capabilities: ["credit"] };
  await send(session, { envelope: { case: "connect", value } });
  const other = scene();
  const second = engine.accept(other.transport, "t", "json");
  await send(session, { envelope: { case: "received", value: { bytes: MAX } } });
  await send(second, { envelope: { case: "connect", value } });
  await send(session, { envelope: { case: "received", value: { bytes: MAX } } });
  await send(session, { envelope: { case: "ping", value: {} } });
  await send(second, { envelope: { case: "ping", value: {} } });
  const before = [transport.marks, other.transport.marks];
  timers.fire();
  expect([transport.marks, other.transport.marks]).toEqual(before.map((marks) => marks + 1));
  expect(kinds(transport)).toEqual(["connected", "pong"]);
});
