/** Events of the SDK of v0.1.1: instances of the class that the `cloudevents` package has. */

import { expect, test } from "vitest";
import { CloudEvent as OfPackage } from "#cloudevents";
import * as sdk from "../../../src/client/v0/index.ts";
import { connected, type ScriptedSocket } from "./scripted-socket.ts";

const ENCODINGS = ["json", "proto"] as const;

/** What the client has published last. */
function published({ sent }: ScriptedSocket) {
  const { envelope } = sent.at(-1) ?? {};
  if (envelope?.case !== "publish") throw new Error(`it was ${envelope?.case}`);
  return envelope.value;
}

test("what applications make is of the class, and has what they said and nothing else", () => {
  const extensions = { count: 3 };
  const event = sdk.createCloudEvent({ source: "/s", type: "t", data: { a: 1 }, extensions });
  expect(event).toBeInstanceOf(OfPackage);
  expect(event.validate()).toBe(true);
  expect(event.cloneWith({ type: "u" })).toMatchObject({ source: "/s", type: "u", count: 3 });
  // The constructor of the package would make up a time.
  expect(JSON.parse(event.toString())).toEqual({
    id: event.id,
    source: "/s",
    specversion: "1.0",
    type: "t",
    datacontenttype: "application/json",
    data: { a: 1 },
    count: 3,
  });
  expect(() => {
    event.type = "other";
  }).toThrow(TypeError);
});

test("bytes are base64 in JSON, and where that is asked for", () => {
  const data = new Uint8Array([0, 255, 254]);
  const extensions = { raw: new Uint8Array([1]) };
  const event = sdk.createCloudEvent({ source: "/s", type: "t", data, extensions });
  expect(event.data).toEqual(data);
  expect(event.data_base64).toBe("AP/+");
  expect(JSON.parse(JSON.stringify(event))).toMatchObject({ data_base64: "AP/+", raw: "AQ==" });
  expect(JSON.parse(JSON.stringify(event))).not.toHaveProperty("data");
  expect(event.validate()).toBe(true);
});

test.each(ENCODINGS)(
  "%s: what arrives is of the class, in messages and answers",
  async (encoding) => {
    const { client, socket } = await connected(encoding);
    const received: sdk.ReceivedMessage[] = [];
    client.onMessage((messages) => received.push(...messages));
    const payload = { id: "e", source: "/s", type: "t", specVersion: "1.0" };
    const time = {
      attr: { case: "ceTimestamp", value: { seconds: 1n, nanos: 5_000_000 } },
    } as const;
    const messages = [
      { id: "x-1", channel: "c", payload },
      { id: "x-2", channel: "c", payload: { ...payload, attributes: { time } } },
    ];
    socket.message({ envelope: { case: "publication", value: { messages } } });
    for (const { event } of received) expect(event).toBeInstanceOf(OfPackage);
    expect(received.map(({ event }) => event.time)).toEqual([
      undefined,
      "1970-01-01T00:00:01.005Z",
    ]);
    const asking = client.rpc("c", "m", sdk.createCloudEvent({ source: "/s", type: "t" }));
    socket.answer({ case: "rpcReply", value: payload });
    expect(await asking).toBeInstanceOf(OfPackage);
  },
);

test.each(ENCODINGS)("%s: what the package makes is sent as it is", async (encoding) => {
  const { client, socket } = await connected(encoding);
  const init = { id: "e", source: "/s", type: "t", time: "1970-01-01T00:00:01.000Z", count: 3 };
  const waiting = [client.publish("c", new OfPackage({ ...init, data: new Uint8Array([0, 255]) }))];
  expect(published(socket)).toMatchObject({
    id: "e",
    data: { case: "binaryData", value: new Uint8Array([0, 255]) },
  });
  // The package keeps its own copy of bytes, which is no attribute.
  expect(Object.keys(published(socket).attributes).sort()).toEqual([
    "count",
    "datacontenttype",
    "time",
  ]);
  waiting.push(client.publish("c", new OfPackage({ ...init, data: "x" })));
  expect(published(socket)).toMatchObject({ data: { case: "textData", value: "x" } });
  await client.close();
  await Promise.allSettled(waiting);
});

test("messages made by hand take events of the class, and give them", () => {
  const event = new OfPackage({ source: "/s", type: "t", data: new Uint8Array([7]) });
  const message = sdk.cloudEventToProto(event);
  expect(Object.keys(message.attributes).sort()).toEqual(["datacontenttype", "time"]);
  const back = sdk.protoToCloudEvent(message);
  expect(back).toBeInstanceOf(OfPackage);
  expect(back).toMatchObject({ id: event.id, time: event.time, data: new Uint8Array([7]) });
  expect(sdk.toProtoCloudEvent(event)).toEqual(message);
  expect(sdk.fromProtoCloudEvent(message)).toEqual(back);
});

test.each(ENCODINGS)(
  "%s: an event whose time is none takes no other of its frame with it",
  async (encoding) => {
    const { client, socket } = await connected(encoding);
    const errors: sdk.MessagingError[] = [];
    const seen: string[] = [];
    client.onError((error) => errors.push(error));
    client.onMessage((messages) => seen.push(...messages.map(({ id }) => id)));
    const text = JSON.stringify({
      publication: {
        messages: [
          { id: "x-1", channel: "c", payload: { attributes: { time: { ce_timestamp: "soon" } } } },
          { id: "x-2", channel: "c", payload: { id: "e", source: "/s", type: "t" } },
        ],
      },
    });
    const time = { attr: { case: "ceTimestamp", value: { seconds: 1n << 60n } } } as const;
    const payload = { id: "e", source: "/s", type: "t", attributes: { time } };
    const messages = [{ id: "x-1", payload }, { id: "x-2" }];
    if (encoding === "json") socket.frame(text);
    else socket.message({ envelope: { case: "publication", value: { messages } } });
    expect(seen).toEqual(["x-2"]);
    expect(errors).toMatchObject([{ code: "INTERNAL_ERROR" }]);
  },
);
