/** What a slow client has not read is remembered while its gateway sleeps (B1, B2). */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  SessionMarksSchema,
  SessionRecordSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { SessionRecords } from "../../src/worker/gateway/attachment.ts";
import { Client, freshChannel } from "./socket.ts";
import { counted, withSql } from "./sql.ts";

const EVENT = "x".repeat(32 * 1024);
/** Events that are published at once. */
const TOGETHER = 10;
/** Longer than a gateway waits before it saves what has changed. */
const SAVED_MS = 2_500;

/** A client on a gateway of its own, so that its sleep is nobody else's. */
async function lonely(capabilities: readonly string[]) {
  const gateway = exports.GatewayDurableObject.getByName(`slow-${crypto.randomUUID()}`);
  const channel = freshChannel();
  const client = await Client.open({
    extended: capabilities.length > 0,
    open: (request) => gateway.fetch(request),
  });
  await client.connect({ capabilities: [...capabilities], subscriptions: [{ channel }] });
  const publisher = await Client.connect();
  // Those that are published at once are one call of the gateway's.
  const publish = async (events: number): Promise<void> => {
    for (let i = 0; i < events; i += TOGETHER) {
      const some = Array.from({ length: Math.min(TOGETHER, events - i) }, () => EVENT);
      await Promise.all(some.map((text) => publisher.publish(channel, text)));
    }
  };
  return { gateway, client, publish };
}

test("unacknowledged bytes outlive a sleep: the rest of the credit is what is left", async () => {
  const { gateway, client, publish } = await lonely(["credit"]);
  await publish(200);
  await client.received(200);
  await new Promise((resolve) => setTimeout(resolve, SAVED_MS));
  await evictDurableObject(gateway, { webSockets: "hibernate" });
  expect(client.close).toBeUndefined();
  await publish(70);
  expect(await client.closed()).toEqual({ code: 3510, reason: "slow consumer" });
});

test("the heartbeat that the runtime answers is a sign of life", async () => {
  const { client, publish } = await lonely([]);
  await publish(600);
  await client.received(600);
  client.sendRaw("ping");
  await client.until(() => client.frames.find((frame) => frame === "pong"));
  await publish(600);
  await client.received(1_200);
  expect(client.close).toBeUndefined();
  await publish(300);
  expect(await client.closed()).toEqual({ code: 3510, reason: "slow consumer" });
});

test("marks stand beside a record of any size, survive a sleep, and write no row", async () => {
  const stub = exports.GatewayDurableObject.getByName(`marks-${crypto.randomUUID()}`);
  await runInDurableObject(stub, (_, { storage }) => {
    for (const channels of [1, 1_000]) {
      let attachment: unknown;
      let writes = 0;
      const socket = {
        serializeAttachment: (value: unknown) => {
          expect((value as Uint8Array).length).toBeLessThan(16_384);
          attachment = value;
        },
        deserializeAttachment: () => attachment,
      };
      const sql = {
        exec: (query: string, ...bindings: (string | number | ArrayBuffer | null)[]) => {
          const cursor = storage.sql.exec(query, ...bindings);
          const rows = cursor.toArray();
          if (!query.startsWith("CREATE")) writes += cursor.rowsWritten;
          return rows as Record<string, string | number | ArrayBuffer | null>[];
        },
      };
      const record = create(SessionRecordSchema, {
        sessionId: `s${channels}`,
        encoding: "json",
        connected: true,
        clientId: "me",
        subscriptions: Array.from({ length: channels }, (_unused, i) => ({
          channel: `channel.${i}`,
          epoch: "epoch",
          floor: 1n,
        })),
      });
      new SessionRecords(sql).save(socket, record);
      writes = 0;
      const marks = create(SessionMarksSchema, { seen: 1n, sent: 2n, received: 3n, unheard: 4n });
      // A fresh life of the gateway knows nothing but what the socket carries.
      const awake = new SessionRecords(sql);
      awake.mark(socket, create(SessionMarksSchema, { seen: 9n, unheard: 9n }));
      awake.mark(socket, marks);
      expect(awake.load(socket)).toEqual(create(SessionRecordSchema, { ...record, marks }));
      expect(writes).toBe(0);
    }
  });
});

test("marks that do not fit beside a record write one row, and are found again whole", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    let attachment: unknown;
    const socket = {
      serializeAttachment: (value: unknown) => {
        if (value !== null) expect((value as Uint8Array).length).toBeLessThan(16_384);
        attachment = value;
      },
      deserializeAttachment: () => attachment,
    };
    const record = create(SessionRecordSchema, {
      sessionId: "s",
      encoding: "proto",
      connected: true,
      subscriptions: [{ channel: "room" }],
    });
    const marks = (channels: number, seen: bigint) =>
      create(SessionMarksSchema, {
        seen,
        sent: 2n,
        seenChannels: Array.from({ length: channels }, (_, i) => ({
          channel: `channel.${i}.${"x".repeat(40)}`,
          epoch: "epoch",
          offset: seen,
          generation: 5n,
        })),
      });
    const records = new SessionRecords(counting);
    records.save(socket, record);
    let { written } = counting;
    for (const [channels, seen, rows] of [
      [2, 1n, 0],
      // The record moves to the database, and the channels with it.
      [1_000, 2n, 2],
      [1_000, 3n, 1],
      // They fit again: the row's are taken away.
      [2, 4n, 1],
      [2, 5n, 0],
      [1_000, 6n, 1],
    ] as const) {
      records.mark(socket, marks(channels, seen));
      expect(counting.written - written).toBe(rows);
      const found = new SessionRecords(sql).load(socket);
      expect(found).toEqual(
        create(SessionRecordSchema, { ...record, marks: marks(channels, seen) }),
      );
      ({ written } = counting);
    }
    // A fresh life goes on with what it finds.
    const awake = new SessionRecords(counting);
    awake.load(socket);
    awake.mark(socket, marks(2, 7n));
    expect(new SessionRecords(sql).load(socket)?.marks).toEqual(marks(2, 7n));
    awake.forget(socket);
    awake.remove("s");
    expect(new SessionRecords(sql).load(socket)).toBeUndefined();
    expect([...sql.exec("SELECT * FROM sessions")]).toEqual([]);
  });
});
