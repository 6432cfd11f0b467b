/** What the bench sends to its peers, whose protocols are not ours: each frame as it was seen to work. */
import { expect, test } from "vitest";
import type { Frame } from "../../bench/dialect.ts";
import { centrifugo } from "../../bench/dialects/centrifugo.ts";
import { messageLoop } from "../../bench/dialects/messageloop.ts";
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

test("Centrifugo in JSON: clients go on from the position that an answer has", () => {
  const { position } = dialectOf(centrifugo("json"));
  const begun = position?.(
    '{"id":2,"subscribe":{"recoverable":true,"epoch":"dNlF","positioned":true}}',
  );
  expect(begun).toEqual({ epoch: "dNlF", offset: 0 });
  const known = position?.('{"id":2,"subscribe":{"epoch":"dNlF","offset":9}}');
  const spec = {
    ...centrifugo("json"),
    options: { encoding: "json", positions: { [CHANNEL]: known } },
  };
  expect(dialectOf(spec).setup(7, CHANNEL)[1]).toBe(
    '{"id":2,"subscribe":{"channel":"room.1","recover":true,"epoch":"dNlF","offset":9}}',
  );
  expect(() => position?.('{"id":2,"subscribe":{}}')).toThrow("the channel has no history");
});

test("MessageLoop: the same, with the capability that this needs", () => {
  const { position } = dialectOf(messageLoop());
  const answer =
    '{"id":"s","subscribe_ack":{"subscriptions":[{"channel":"room.1","position":{"epoch":"iTKY","offset":"5"}}]}}';
  const known = position?.(answer);
  expect(known).toEqual({ epoch: "iTKY", offset: 5 });
  const dialect = dialectOf(
    messageLoop({ positions: { [CHANNEL]: { epoch: "iTKY", offset: 5 } } }),
  );
  const [connect, subscribe] = dialect.setup(7, CHANNEL).map(String);
  expect(connect).toContain('"capabilities":["recovery"]');
  const [compact] = dialectOf(messageLoop({ compact: true }))
    .setup(7, CHANNEL)
    .map(String);
  expect(compact).toContain('"capabilities":["bench","compact"]');
  expect(subscribe).toContain('[{"channel":"room.1","since":{"epoch":"iTKY","offset":"5"}}]');
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
