/** What the bench sends to its peers. Their protocols are not ours: each frame stands here as it was seen to work. */
import { expect, test } from "vitest";
import type { Frame } from "../../bench/dialect.ts";
import { centrifugo } from "../../bench/dialects/centrifugo.ts";
import { dialectOf } from "../../bench/dialects/table.ts";

const CHANNEL = "room.1";

function hex(frame: Frame | undefined): string {
  return Buffer.from(frame ?? "").toString("hex");
}

test("Socket.IO: the namespace, then a room, each answered", () => {
  const dialect = dialectOf({ name: "socket.io" });
  expect(dialect).toMatchObject({
    path: "/socket.io/?EIO=4&transport=websocket",
    binary: false,
    greets: true,
  });
  expect(dialect.setup(7, CHANNEL)).toEqual(["40", '420["join","room.1"]']);
  expect(dialect.setup(7, undefined)).toEqual(["40"]);
  expect(dialect.publish(CHANNEL, 3, "~mark", "xxx")).toBe('42["publish","room.1","~markxxx"]');
});

test("Centrifugo in JSON: each command has a number above 0", () => {
  const dialect = dialectOf(centrifugo("json"));
  expect(dialect).toMatchObject({ path: "/connection/websocket", binary: false });
  expect(dialect.subprotocol).toBeUndefined();
  expect(dialect.setup(7, CHANNEL)).toEqual([
    '{"id":1,"connect":{}}',
    '{"id":2,"subscribe":{"channel":"room.1"}}',
  ]);
  expect(dialect.setup(7, undefined)).toEqual(['{"id":1,"connect":{}}']);
  expect(dialect.publish(CHANNEL, 3, "~mark", "xxx")).toBe(
    '{"id":268435459,"publish":{"channel":"room.1","data":"~markxxx"}}',
  );
});

test("Centrifugo in protobuf: each command has its length before it", () => {
  const dialect = dialectOf(centrifugo("proto"));
  expect(dialect).toMatchObject({
    path: "/connection/websocket",
    subprotocol: "centrifuge-protobuf",
    binary: true,
  });
  const channel = `0a06${Buffer.from(CHANNEL).toString("hex")}`;
  const setup = dialect.setup(7, CHANNEL).map(hex);
  expect(setup).toEqual(["0408012200", `0c08022a08${channel}`]);
  expect(dialect.setup(7, undefined).map(hex)).toEqual(["0408012200"]);
  const text = (mark: string): string => `1208${Buffer.from(`${mark}xxx`).toString("hex")}`;
  // The second one is made from the first.
  for (const [sequence, mark, id] of [
    [3, "~mark", "8380808001"],
    [130, "~kram", "8281808001"],
  ] as const) {
    const frame = dialect.publish(CHANNEL, sequence, mark, "xxx");
    expect(hex(frame)).toBe(`1a08${id}3a12${channel}${text(mark)}`);
  }
});

test("Centrifugo in protobuf: a length of two digits", () => {
  const dialect = dialectOf(centrifugo("proto"));
  const padding = "x".repeat(300);
  const frame = Buffer.from(dialect.publish(CHANNEL, 0, "~mark", padding));
  // 6 bytes of the number, 3 before the request, 8 of the channel, 3 before the text and its 305.
  expect(hex(frame.subarray(0, 3))).toBe("c50208");
  expect(frame.length).toBe(2 + 325);
});
