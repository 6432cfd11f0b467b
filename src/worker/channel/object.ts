/**
 * The Durable Object of one channel. This shell gives the channel its platform, and calls it; every method
 * takes and returns messages of `messageloop.internal.v1`, which `ChannelStub` names.
 */
import { DurableObject } from "cloudflare:workers";
import { background } from "../../engine/background.ts";
import { ChannelObject } from "../../objects/channel/object.ts";
import type { Called, ChannelStub } from "../../objects/ports/calls.ts";
import { objectCalls } from "../calls.ts";
import { consoleLogger, platform, shortId } from "../platform.ts";
import { settingsOf } from "../settings.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { objectStorage } from "../storage.ts";
import { SqlChannelStore } from "./store.ts";

export class ChannelDurableObject extends DurableObject<Env> implements Called<ChannelStub> {
  readonly #channel: ChannelObject;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const name = ctx.id.name ?? "";
    this.#channel = new ChannelObject({
      name,
      rules: () => settingsOf(env).rules.of(name),
      store: () => new SqlChannelStore(checkedSql(ctx.storage.sql, platform)),
      storage: objectStorage(ctx),
      calls: objectCalls(ctx),
      random: { epoch: shortId },
      platform,
    });
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#channel.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  register(request: Uint8Array): Uint8Array {
    return this.#channel.register(request);
  }

  publish(request: Uint8Array): Promise<Uint8Array> {
    return this.#channel.publish(request);
  }

  hear(request: Uint8Array): void {
    this.#channel.hear(request);
  }

  read(request: Uint8Array): Uint8Array {
    return this.#channel.read(request);
  }

  history(request: Uint8Array): Uint8Array {
    return this.#channel.history(request);
  }

  removeHistory(): void {
    this.#channel.removeHistory();
  }

  presence(request: Uint8Array): Uint8Array {
    return this.#channel.presence(request);
  }

  override async alarm(): Promise<void> {
    await this.#channel.alarm();
  }
}
