/**
 * The Durable Object of one channel. This shell gives the channel its platform, and calls it; every method
 * takes and returns messages of `messageloop.internal.v1`, which `ChannelStub` names.
 */
import { DurableObject } from "cloudflare:workers";
import { background } from "../../engine/background.ts";
import { CHANNEL_KINDS, channelEvent } from "../../engine/ports/lifecycle.ts";
import { Occupancy } from "../../engine/subscription/occupancy.ts";
import type { HookTargets } from "../../hooks/hooks.ts";
import { webHmac } from "../../http/tickets/hmac.ts";
import { ChannelObject } from "../../objects/channel/object.ts";
import type { Called, ChannelStub } from "../../objects/ports/calls.ts";
import type { ChannelHearer } from "../../objects/ports/channel-hearer.ts";
import { objectHooks } from "../backends/backends.ts";
import { objectCalls } from "../calls.ts";
import { ObjectHooks } from "../hooks.ts";
import { consoleLogger, platform, random, shortId } from "../platform.ts";
import { listsChannels, settingsOf } from "../settings.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { objectStorage } from "../storage.ts";
import { SqlChannelStore } from "./store.ts";

/**
 * The object of one channel: its log, its members, and the gateways that hear it.
 *
 * @example
 * export { ChannelDurableObject } from "messageloop-server/worker";
 */
export class ChannelDurableObject extends DurableObject<Env> implements Called<ChannelStub> {
  readonly #channel: ChannelObject;
  readonly #hooks: ObjectHooks;
  readonly #occupancy = new Occupancy();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const name = ctx.id.name ?? "";
    const sql = checkedSql(ctx.storage.sql, platform);
    this.#hooks = new ObjectHooks(this.hooks(), {
      sql,
      logger: consoleLogger,
      wakeBy: (at) => this.#channel.alarmBy(at),
    });
    this.#channel = new ChannelObject({
      name,
      rules: () => settingsOf(env).rules.of(name),
      store: () => new SqlChannelStore(sql),
      storage: objectStorage(ctx),
      calls: objectCalls(ctx),
      reports: listsChannels(settingsOf(env)),
      hearer: this.#hearer(name),
      random: { epoch: shortId },
      platform,
    });
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#channel.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  /**
   * The backends to which events of channels are reported. A class of the application's own overrides it; without that it is as the
   * settings `proxy` and `hooks` say.
   */
  protected hooks(): HookTargets {
    const { proxy } = settingsOf(this.env);
    return objectHooks(proxy, CHANNEL_KINDS, this.env, { ...platform, random, hmac: webHmac });
  }

  #hearer(channel: string): ChannelHearer | undefined {
    const hooks = this.#hooks;
    const { lifecycle } = hooks;
    if (lifecycle === undefined) return undefined;
    return {
      changed: (occupied) => {
        const time = platform.clock.now();
        const kind = occupied ? "occupied" : "vacated";
        const sequence = this.#occupancy.sequence(time);
        const event = channelEvent({ id: crypto.randomUUID(), kind, time, channel, sequence });
        background(
          Promise.resolve(lifecycle.record([event])),
          consoleLogger,
          "telling of a channel",
        );
      },
      get due() {
        return hooks.due;
      },
      wake: () => hooks.wake(),
      forgotten: () => hooks.forgotten(),
    };
  }

  register(request: Uint8Array): Uint8Array {
    return this.#channel.register(request);
  }

  async publish(request: Uint8Array): Promise<Uint8Array> {
    return await this.#channel.publish(request);
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

  gateways(): Promise<Uint8Array> {
    return this.#channel.gateways();
  }

  override async alarm(): Promise<void> {
    await this.#channel.alarm();
  }
}
