/** A session whose client comes by a door of the Worker: its socket is the door's, what it sends comes by calls. */
import { evictDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor, type Frame } from "../../src/protocol/codec.ts";
import {
  InboundMessageSchema,
  type Opened,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { closeWord } from "../../src/worker/close.ts";
import { requestEngine } from "../../src/worker/doors/request-engine.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { connectToGateway, type DoorTerms } from "../../src/worker/upgrade.ts";
import { valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

const STREAM: DoorTerms = { door: "stream", heartbeatMs: 1_234, region: "oc" };

/** The socket that a door has of a gateway. Without terms it is a client's own. */
async function socketOf(gateway: string, terms?: DoorTerms) {
  const stub = exports.GatewayDurableObject.getByName(gateway);
  return await Client.open({ open: (request) => connectToGateway(request, () => stub, terms) });
}

async function opened(gateway: string, channel: string) {
  const client = await socketOf(gateway, STREAM);
  const reply = client.connect({ capabilities: ["control"], subscriptions: [{ channel }] });
  const terms = await client.next("opened");
  valueAs(await reply, "connected");
  return { client, terms };
}

/** Sends as another isolate of the Worker does. */
async function send(terms: Pick<Opened, "sessionId" | "secret">, seq: number, ...frames: Frame[]) {
  const engine = requestEngine({ exports, waitUntil: () => {} }, settingsOf({}), "weur");
  const { sessionId, secret } = terms;
  return await engine.send({ sessionId, secret, seq: BigInt(seq), frames, encoding: "json" });
}

function ping(id: string): Frame {
  const message = create(InboundMessageSchema, { id, envelope: { case: "ping", value: {} } });
  return codecFor("json").encodeInbound(message);
}

test("what is sent by calls is taken in its order, through a sleep, by who knows the secret", async () => {
  const channel = freshChannel();
  const { client, terms } = await opened("oc-1", channel);
  expect(terms).toMatchObject({ heartbeatIntervalMs: 1_234 });
  expect(terms.sessionId).toMatch(/^oc-1\./);
  expect(terms.secret).toMatch(/^[\w-]{22,}$/);
  expect(client.log[0]?.envelope.case).toBe("opened");
  expect(await send(terms, 2, ping("b"))).toBe(0);
  expect(await send(terms, 1, ping("a"))).toBe(2);
  await client.until(() => client.replies.find(({ id }) => id === "b"));
  await evictDurableObject(exports.GatewayDurableObject.getByName("oc-1"));
  expect(await send({ ...terms, secret: `${terms.secret}x` }, 3, ping("no"))).toBeUndefined();
  expect(await send(terms, 2, ping("b"), ping("c"))).toBe(3);
  await client.until(() => client.replies.find(({ id }) => id === "c"));
  const publisher = await Client.connect();
  await publisher.publish(channel, "one");
  expect(texts(await client.received(1))).toEqual(["one"]);
  const pongs = client.replies.filter(({ envelope }) => envelope.case === "pong");
  expect(pongs.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  // The door has its gateway end the session, and its client is told as any other.
  client.sendRaw(closeWord(3510));
  expect(await client.closed()).toEqual({ code: 3510, reason: "slow consumer" });
  const [farewell] = client.all("disconnect");
  expect(farewell).toMatchObject({ code: 3510, reconnect: true });
  expect(await send(terms, 4, ping("d"))).toBeUndefined();
});

test("the secret dies with the stream", async () => {
  const { client, terms } = await opened("oc-2", freshChannel());
  expect(await send(terms, 1, ping("a"))).toBe(1);
  client.socket.close(1001, "client gone");
  await client.closed();
  expect(await send(terms, 2, ping("b"))).toBeUndefined();
});

test("a client with a socket of its own is no door, whatever it says", async () => {
  const client = await socketOf("oc-3");
  const { sessionId } = valueAs(await client.connect({}), "connected");
  client.sendRaw(closeWord(3510));
  expect(await client.next("error")).toMatchObject({ code: "BAD_REQUEST" });
  for (const secret of ["", "x"]) {
    expect(await send({ sessionId, secret }, 1, ping("a"))).toBeUndefined();
  }
  const forged = await Client.open({
    open: (request) => {
      request.headers.set("x-messageloop-door", "stream");
      request.headers.set("x-messageloop-heartbeat", "1");
      return exports.default.fetch(request);
    },
  });
  await forged.connect({});
  expect(forged.log.map(({ envelope }) => envelope.case)).toEqual(["connected"]);
});
