/** What v0.1.1's clients send causes what it caused there, corrected where the protocol says so. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { frameOf, type Vector, vectors } from "../vectors.ts";
import { Client } from "./socket.ts";

const handshakeHeaders = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** What the reference does, by the words its description begins with. */
const replies: readonly [RegExp, string][] = [
  [/^connected/, "connected"],
  [/^subscribe_ack/, "subscribeAck"],
  [/^unsubscribe_ack/, "unsubscribeAck"],
  [/^publish_ack/, "publishAck"],
  [/^rpc_reply/, "rpcReply"],
  [/^pong/, "pong"],
  [/^sub_refresh_ack/, "subRefreshAck"],
  [/^survey_response/, "surveyResponse"],
  [/^error BAD_REQUEST|^the same BAD_REQUEST/, "error BAD_REQUEST"],
  [/^error INTERNAL_ERROR/, "error INTERNAL_ERROR"],
  [/^no reply|^nothing is sent back/, "nothing"],
];

/** Where our protocol decides otherwise than the reference did. */
const corrected: Readonly<Record<string, { kind: string; id: string }>> = {
  // A repeated JSON key takes its last value.
  "raw.bad.duplicate_key": { kind: "pong", id: "y" },
};

function expectedKind(vector: Vector): string {
  const expectation = vector.expect ?? "";
  const found =
    corrected[vector.name]?.kind ?? replies.find(([words]) => words.test(expectation))?.[1];
  if (found === undefined) throw new Error(`no reading of: ${expectation}`);
  return found;
}

function kindOf(message: OutboundMessage): string {
  const { envelope } = message;
  return envelope.case === "error" ? `error ${envelope.value.code}` : `${envelope.case}`;
}

async function open(subprotocol: string | null, encoding: "json" | "proto"): Promise<Client> {
  const headers = new Headers(handshakeHeaders);
  if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol);
  const response = await exports.default.fetch(new Request("http://localhost/ws", { headers }));
  if (response.webSocket === null) throw new Error(`refused: ${response.status}`);
  expect(response.headers.get("Sec-WebSocket-Protocol")).toBe(subprotocol);
  return new Client(response.webSocket, encoding);
}

test.each(vectors("client_to_server"))("$name", async (vector) => {
  const encoding = vector.encoding === "json" ? "json" : "proto";
  const kind = expectedKind(vector);
  const client = await open(vector.subprotocol, encoding);
  if (kind !== "connected") {
    await client.request({ envelope: { case: "connect", value: { clientId: "v1" } } });
  }
  const before = client.frames.length;
  const frame = frameOf(vector);
  client.socket.send(frame);
  // The ping behind it marks the end of what the frame caused.
  await client.request({ id: "fence", envelope: { case: "ping", value: {} } });
  const codec = codecFor(encoding);
  const caused = await client.until(() => {
    const messages = client.frames.slice(before).map((received) => codec.decodeOutbound(received));
    const others = messages.filter(
      ({ id, envelope }) => id !== "fence" && envelope.case !== "publication",
    );
    return others.length > 0 || kind === "nothing" ? others : undefined;
  });
  if (kind === "nothing") {
    expect(caused.map(kindOf)).toEqual([]);
    return;
  }
  expect(caused.map(kindOf)).toEqual([kind]);
  const reply = caused[0];
  const sent = vector.decoded as { id?: string; metadata?: Record<string, string> } | null;
  if (kind === "error BAD_REQUEST") expect(reply?.id).toMatch(/^[0-9a-f-]{36}$/);
  else {
    expect(reply?.id).toBe(corrected[vector.name]?.id ?? sent?.id ?? "");
    expect(reply?.metadata).toEqual(sent?.metadata ?? {});
  }
  expect(Number(reply?.time)).toBeGreaterThan(1_700_000_000_000);
  client.socket.close();
});

test.each(vectors("handshake"))("$name", async (vector) => {
  const decoded = vector.decoded as { offered: string | null; encoding_used: string };
  const headers = new Headers(handshakeHeaders);
  if (decoded.offered !== null) headers.set("Sec-WebSocket-Protocol", decoded.offered);
  const response = await exports.default.fetch(new Request("http://localhost/ws", { headers }));
  expect(response.status).toBe(101);
  expect(response.headers.get("Sec-WebSocket-Protocol")).toBe(vector.subprotocol);
  if (response.webSocket === null) throw new Error("no socket");
  // The selected name decides; where none was, the reference's reading of the offers does.
  const selected = vector.subprotocol;
  const deciding = selected ?? decoded.encoding_used;
  const encoding = deciding.includes("proto") ? "proto" : "json";
  const client = new Client(response.webSocket, encoding);
  expect(kindOf(await client.request({ envelope: { case: "ping", value: {} } }))).toBe("pong");
  const reply = client.frames[0];
  expect(typeof reply).toBe(encoding === "json" ? "string" : "object");
});
