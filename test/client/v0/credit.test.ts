/** What the SDK reports to the server about what it has received. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { OutboundMessageSchema } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { connected, dialled, type ScriptedSocket } from "./scripted-socket.ts";

const ENCODINGS = ["json", "proto"] as const;
/** A quarter of the credit that these tests grant. */
const QUARTER = 20_000;
const GRANTED = { capabilities: ["control", "credit"], creditBytes: BigInt(4 * QUARTER) };

/** Sends a frame of exactly so many bytes. Its text is not ASCII, so it has fewer characters. */
function fill(socket: ScriptedSocket, bytes: number): void {
  const frameOf = (length: number) => {
    const id = "\u00fc\u20ac".padEnd(length, "x");
    return socket.codec.encodeOutbound(create(OutboundMessageSchema, { id }));
  };
  const excess = Buffer.byteLength(frameOf(bytes)) - bytes;
  const frame = frameOf(bytes - excess);
  expect(Buffer.byteLength(frame)).toBe(bytes);
  socket.frame(frame);
}

/** The counts that the SDK has reported. */
function reports({ sent }: ScriptedSocket): number[] {
  return sent.flatMap(({ envelope }) =>
    envelope.case === "received" ? [Number(envelope.value.bytes)] : [],
  );
}

test.each(ENCODINGS)("%s: a report is due whenever a quarter has come in", async (encoding) => {
  const { socket, taken } = await connected(encoding, GRANTED);
  fill(socket, QUARTER - taken - 100);
  fill(socket, 99);
  expect(reports(socket)).toEqual([]);
  // What cannot be decoded has been received all the same.
  socket.frame("\u00fc");
  expect(reports(socket)).toEqual([QUARTER + 1]);
  fill(socket, QUARTER - 1);
  expect(reports(socket)).toEqual([QUARTER + 1]);
  fill(socket, 3 * QUARTER);
  fill(socket, QUARTER);
  expect(reports(socket)).toEqual([QUARTER + 1, 5 * QUARTER, 6 * QUARTER]);
});

test.each(ENCODINGS)("%s: only the text frame pong does not count", async (encoding) => {
  const { socket, taken } = await connected(encoding, GRANTED);
  fill(socket, QUARTER - taken - 100);
  for (let i = 0; i < 1_000; i++) socket.frame("pong");
  expect(reports(socket)).toEqual([]);
  let total = QUARTER - 100;
  while (total < QUARTER) total += socket.message({ envelope: { case: "pong", value: {} } });
  expect(reports(socket)).toEqual([total]);
});

test.each(ENCODINGS)("%s: what came in before the grant counts", async (encoding) => {
  const { socket, dialling } = dialled(encoding);
  const value = { sessionId: "s", ...GRANTED };
  const taken = socket.answer({ case: "connected", value });
  // A runtime may hand over several frames before the SDK has looked at the first.
  fill(socket, 2 * QUARTER);
  await dialling;
  expect(reports(socket)).toEqual([taken + 2 * QUARTER]);
});

test.each([
  ["no capability", {}],
  ["another capability", { capabilities: ["control"], creditBytes: GRANTED.creditBytes }],
  ["no bytes", { capabilities: ["credit"] }],
])("without a grant nothing is reported: %s", async (_, answer) => {
  const { socket } = await connected("json", answer);
  fill(socket, 8 * QUARTER);
  expect(socket.sent.map(({ envelope }) => envelope.case)).toEqual(["connect"]);
});

test("a report waits for no answer and does not outlive the connection", async () => {
  const { client, socket } = await connected("json", GRANTED);
  fill(socket, QUARTER);
  expect(reports(socket)).toHaveLength(1);
  // A promise that waited for an answer would reject now, unhandled, and fail the test run.
  socket.end(1006);
  expect(client.isConnected()).toBe(false);
  socket.readyState = 1;
  fill(socket, QUARTER);
  expect(reports(socket)).toHaveLength(1);
});
