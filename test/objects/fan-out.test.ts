/** What a channel gives a gateway with the answer to its publishes, and what it gives by a call. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { LogRow } from "../../src/channels/log-store.ts";
import { readDelivery } from "../../src/objects/calls/internal-reader.ts";
import { ChannelFanOut, type FanOutHost } from "../../src/objects/channel/fan-out.ts";
import type { GatewayRow } from "../../src/objects/ports/channel-store.ts";
import {
  type Entry,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { platform } from "../support/platform.ts";

/** A fan-out over rows in memory, whose calls are written down and never answered. */
class Scene {
  readonly rows: LogRow[] = [];
  /** Each call: the gateway, its registration and what it brings, as "after..until". */
  readonly calls: string[] = [];
  readonly fanOut: ChannelFanOut;

  /** @param head of an earlier life, which has left these rows of gateways */
  constructor(gateways: readonly GatewayRow[] = [], head = 0) {
    while (this.rows.length < head) this.#row();
    this.fanOut = new ChannelFanOut(this.#host(), gateways);
  }

  append(): void {
    this.fanOut.append(this.#row());
  }

  #row(): LogRow {
    const row = { offset: this.rows.length + 1, key: "", time: 0, body: new Uint8Array() };
    this.rows.push(row);
    return row;
  }

  #host(): FanOutHost {
    return {
      channel: "room",
      epoch: "e",
      transient: false,
      head: () => this.rows.length,
      undelivered: () => 0,
      read: (after, until) => this.rows.slice(after, until),
      deliver: (gateway, request) => {
        this.calls.push(`${gateway} ${carried(request)}`);
        return new Promise(() => {});
      },
      saveGateway: () => {},
      dropGateway: () => {},
      left: () => {},
      now: () => 0,
      alarmBy: () => {},
      platform,
    };
  }
}

/** What a DeliverRequest brings, as "registration after..until"; "" where there is none. */
function carried(request: Uint8Array | undefined): string {
  if (request === undefined) return "";
  const { registration, prev, entries } = readDelivery(request);
  return `${registration} ${prev}..${Number(prev) + entries.length}`;
}

function begun(scene: Scene, registration: string) {
  const answering = scene.fanOut.answering(registration);
  if (answering === undefined) throw new Error(`no gateway has registered ${registration}`);
  return answering;
}

test("an answer brings what the gateway lacks, and no call does", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const answering = begun(scene, "a-1");
  scene.append();
  scene.fanOut.flush();
  expect(carried(scene.fanOut.answer(answering))).toBe("a-1 0..1");
  scene.fanOut.flush();
  expect(scene.calls).toEqual([]);
});

test("a call may overtake an answer: until the gateway publishes again it brings the same", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const first = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(first))).toBe("a-1 0..1");
  const second = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(second))).toBe("a-1 1..2");
  scene.append();
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["a a-1 1..3"]);
});

test("what is offered again is delivered, whatever an answer has brought since", () => {
  const scene = new Scene();
  scene.append();
  scene.fanOut.register("a", "a-1", false);
  const answering = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(answering))).toBe("a-1 1..2");
  scene.fanOut.offerAgain(1);
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["a a-1 0..2"]);
});

test("an entry that is published again brings what the answer before may not have brought", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const lost = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(lost))).toBe("a-1 0..1");
  const again = begun(scene, "a-1");
  scene.fanOut.repeated(1, again);
  scene.fanOut.withoutAnswer(again);
  expect(scene.calls).toEqual(["a a-1 0..1"]);
});

test("an entry that is published again elsewhere goes by a call to the gateway whose answer may be lost", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  scene.fanOut.register("b", "b-1", false);
  const lost = begun(scene, "a-1");
  scene.append();
  scene.fanOut.flush();
  expect(carried(scene.fanOut.answer(lost))).toBe("a-1 0..1");
  expect(scene.calls).toEqual(["b b-1 0..1"]);
  // By another gateway, or by another life of it, which does not know where it is.
  scene.fanOut.repeated(1);
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["b b-1 0..1", "a a-1 0..1"]);
});

test("what an earlier life owes is offered again, although an answer has brought it since", () => {
  const owed = {
    name: "a",
    registration: "a-1",
    confirmed: 0,
    presence: false,
    pattern: undefined,
  };
  const scene = new Scene([owed], 2);
  const lost = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(lost))).toBe("a-1 0..3");
  scene.fanOut.offerAgain(2);
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["a a-1 0..3"]);
});

test("a gateway that registers again before its answer gets a call under its new registration", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const answering = begun(scene, "a-1");
  scene.append();
  scene.fanOut.register("a", "a-2", false);
  scene.fanOut.flush();
  expect(carried(scene.fanOut.answer(answering))).toBe("");
  expect(scene.calls).toEqual(["a a-2 0..1"]);
});

test("a gateway that goes before its answer gets neither", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const answering = begun(scene, "a-1");
  scene.append();
  scene.fanOut.unregister("a", "a-1");
  expect(carried(scene.fanOut.answer(answering))).toBe("");
  expect(scene.calls).toEqual([]);
});

test("of two answers under way the second brings what the first may not have brought yet, and a call waits for both", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const first = begun(scene, "a-1");
  scene.append();
  const second = begun(scene, "a-1");
  scene.append();
  expect(carried(scene.fanOut.answer(first))).toBe("a-1 0..2");
  scene.append();
  scene.fanOut.flush();
  expect(scene.calls).toEqual([]);
  expect(carried(scene.fanOut.answer(second))).toBe("a-1 0..3");
});

test("an answer that another life of the gateway would have counted leaves the next life's answer whole", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  const before = begun(scene, "a-1");
  scene.append();
  scene.fanOut.register("a", "a-2", false);
  const after = begun(scene, "a-2");
  scene.append();
  expect(carried(scene.fanOut.answer(before))).toBe("");
  expect(carried(scene.fanOut.answer(after))).toBe("a-2 0..2");
  expect(scene.calls).toEqual([]);
});

test("a gateway on the channel's thread has what was handed over, and nothing brings it again", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  expect(handedOver(scene, "a-1", true)).toEqual(["0..1"]);
  expect(handedOver(scene, "a-1", true)).toEqual(["1..2"]);
  scene.append();
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["a a-1 2..3"]);
});

test("what such a gateway has not handed over yet comes again with the next call", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  expect(handedOver(scene, "a-1", false)).toEqual(["0..1"]);
  scene.fanOut.flush();
  expect(scene.calls).toEqual([]);
  scene.append();
  scene.fanOut.flush();
  expect(scene.calls).toEqual(["a a-1 0..2"]);
});

test("such a gateway that lacks more, or has registered again, gets all of it by a call", () => {
  const scene = new Scene();
  scene.fanOut.register("a", "a-1", false);
  scene.append();
  expect(handedOver(scene, "a-1", true)).toEqual([]);
  expect(scene.calls).toEqual(["a a-1 0..2"]);

  const other = new Scene();
  other.fanOut.register("b", "b-1", false);
  const answering = begun(other, "b-1");
  other.append();
  other.fanOut.register("b", "b-2", false);
  other.fanOut.handOver(answering, [entry(1)], () => {
    throw new Error("it was handed over");
  });
  expect(other.calls).toEqual(["b b-2 0..1"]);
});

/** One more entry is handed over, as far as it can be. Returns what was, as "after..until". */
function handedOver(scene: Scene, registration: string, done: boolean): string[] {
  const answering = begun(scene, registration);
  scene.append();
  scene.fanOut.flush();
  const taken: string[] = [];
  scene.fanOut.handOver(answering, [entry(scene.rows.length)], ({ prev, entries }) => {
    taken.push(`${prev}..${prev + entries.length}`);
    return done;
  });
  return taken;
}

function entry(offset: number): Entry {
  return create(EntrySchema, { offset: BigInt(offset) });
}
