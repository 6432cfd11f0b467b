/**
 * The Durable Object of one channel: the single writer of its log and the shard that fans out to
 * gateways. The log and the fan-out decide; this shell reads storage, calls them and answers.
 */
import { DurableObject } from "cloudflare:workers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ChannelLog } from "../channels/log.ts";
import {
  DeliverResponseSchema,
  PublishRequestSchema,
  PublishResponseSchema,
  ReadRequestSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
  UnsubscribeRequestSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../protocol/limits.ts";
import { ChannelFanOut, type GatewayRow } from "./channel-fan-out.ts";
import { encodeEntry, encodeReadResponse } from "./internal-codec.ts";
import { clock, consoleLogger, shortId } from "./platform.ts";
import { SqlLogStore } from "./sql-store.ts";
import { nextTurn } from "./timers.ts";

export class ChannelDurableObject extends DurableObject {
  readonly #log: ChannelLog;
  readonly #fanOut: ChannelFanOut;
  /** The head that this life of the object found: what lies at or below may be undelivered. */
  readonly #startHead: number;
  #flush: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    const log = new ChannelLog(new SqlLogStore(sql), clock, { epoch: shortId });
    sql.exec(
      `CREATE TABLE IF NOT EXISTS gateways (
        name TEXT PRIMARY KEY, registration TEXT NOT NULL, confirmed INTEGER
      ) WITHOUT ROWID`,
    );
    this.#log = log;
    this.#startHead = log.head;
    this.#fanOut = new ChannelFanOut(
      {
        channel: ctx.id.name ?? "",
        epoch: log.epoch,
        head: () => log.head,
        read: (after, until) => log.read(after, until),
        deliver: async (gateway, request) => {
          const stub = ctx.exports.GatewayDurableObject.getByName(gateway);
          return fromBinary(DeliverResponseSchema, await stub.deliver(request));
        },
        saveGateway: ({ name, registration, confirmed }) => {
          sql.exec(
            "INSERT OR REPLACE INTO gateways (name, registration, confirmed) VALUES (?, ?, ?)",
            name,
            registration,
            confirmed ?? null,
          );
        },
        dropGateway: (name) => {
          sql.exec("DELETE FROM gateways WHERE name = ?", name);
        },
        now: clock.now,
        setAlarm: (at) => {
          void ctx.storage.setAlarm(at);
        },
        warn: consoleLogger.warn,
      },
      [...sql.exec("SELECT name, registration, confirmed FROM gateways")].map(
        (row): GatewayRow => ({
          name: `${row["name"]}`,
          registration: `${row["registration"]}`,
          confirmed: row["confirmed"] === null ? undefined : Number(row["confirmed"]),
        }),
      ),
    );
  }

  /** Registers a gateway. Takes a SubscribeRequest, answers a SubscribeResponse. */
  subscribe(request: Uint8Array): Uint8Array {
    const { gateway, registration } = fromBinary(SubscribeRequestSchema, request);
    this.#fanOut.register(gateway, registration);
    const position = { epoch: this.#log.epoch, offset: BigInt(this.#log.head) };
    return toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { position }));
  }

  /** Ends a registration. Takes an UnsubscribeRequest. */
  unsubscribe(request: Uint8Array): void {
    const { gateway, registration } = fromBinary(UnsubscribeRequestSchema, request);
    this.#fanOut.unregister(gateway, registration);
  }

  /** Appends a batch. Takes a PublishRequest, answers a PublishResponse once delivery is under way. */
  async publish(request: Uint8Array): Promise<Uint8Array> {
    const { items } = fromBinary(PublishRequestSchema, request);
    const results = items.map(({ key, body }) => {
      const { offset, time, duplicate } = this.#log.append(key, body);
      if (!duplicate) this.#fanOut.append({ offset, key, time, body });
      else if (offset <= this.#startHead) this.#fanOut.offerAgain(offset);
      return { offset: BigInt(offset), duplicate };
    });
    this.#flush ??= nextTurn().then(() => {
      this.#flush = undefined;
      this.#fanOut.flush();
    });
    await this.#flush;
    const response = create(PublishResponseSchema, { epoch: this.#log.epoch, results });
    return toBinary(PublishResponseSchema, response);
  }

  /** Retained entries. Takes a ReadRequest, answers a ReadResponse of at most one batch. */
  read(request: Uint8Array): Uint8Array {
    const { after, until } = fromBinary(ReadRequestSchema, request);
    const start = Number(after);
    const end = Math.min(Number(until), start + MAX_BATCH_ENTRIES);
    const entries: Uint8Array[] = [];
    let bytes = 0;
    for (const row of this.#log.read(start, end)) {
      const entry = encodeEntry(row);
      if (entries.length > 0 && bytes + entry.length > MAX_BATCH_BYTES) break;
      entries.push(entry);
      bytes += entry.length;
    }
    return encodeReadResponse(this.#log.epoch, entries);
  }

  override async alarm(): Promise<void> {
    await this.#fanOut.alarm();
  }
}
