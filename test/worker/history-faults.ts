/**
 * What can go wrong between objects, on demand: calls that do not arrive, answers that get lost, and a
 * channel that is reset at a chosen moment of a publish. Each fault is armed and strikes the next calls.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { vi } from "vitest";
import { ChannelLife } from "../../src/objects/channel/life.ts";
import { DeliverRequestSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { delay } from "../support/platform.ts";

/** The moment of a publish at which its channel is reset. */
export type Moment = "before delivery" | "before the answer";

/** How long to wait before looking again, in milliseconds. */
const LOOK_MS = 4;

/** Calls that can fail, by the method of the channel. */
const METHODS = ["publish", "register", "read", "history"] as const;
export type Method = (typeof METHODS)[number];

type Call = (request: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** A life that was asked to take a publish, and what that has to wait for. */
interface Asked {
  readonly life: ChannelLife;
  readonly wait: Promise<void> | undefined;
}

export class Faults {
  /** Deliveries that do not arrive, and such that do and are not confirmed. */
  readonly deliveries = { lost: 0, unconfirmed: 0 };
  /** Calls of a channel's method whose answers get lost. */
  readonly answers: Record<Method, number> = { publish: 0, register: 0, read: 0, history: 0 };
  /** Channels whose deliveries all fail. */
  readonly silenced = new Set<string>();
  /** Channels that take no publishes. */
  readonly closed = new Set<string>();
  readonly #crashes = new Map<string, Moment>();
  /** Lives of channels that have ended before they could deliver. */
  readonly #ended = new WeakSet<ChannelLife>();
  /** The last that was asked. */
  #current: Asked | undefined;

  /** Whether the publish that is being handed to a channel is the one before whose delivery it ends. */
  #strikes = false;

  constructor() {
    this.#failDeliveries();
    for (const method of METHODS) this.#loseAnswers(method);
    this.#endLives();
  }

  /** Resets a channel at the next publish. Resolves when that has happened, or the time is over. */
  async crash(channel: string, moment: Moment, ms: number): Promise<void> {
    this.#crashes.set(channel, moment);
    const end = Date.now() + ms;
    // Looked at again and again: an object cannot settle a promise that another one waits for.
    while (this.#crashes.has(channel) && Date.now() < end) await delay(LOOK_MS);
    this.#crashes.delete(channel);
  }

  #failDeliveries(): void {
    const deliver = GatewayDurableObject.prototype.deliver;
    const faults = this;
    vi.spyOn(GatewayDurableObject.prototype, "deliver").mockImplementation(async function (
      this: GatewayDurableObject,
      request,
    ) {
      const { deliveries, silenced } = faults;
      const { channel } = fromBinary(DeliverRequestSchema, request);
      if (silenced.has(channel)) throw new Error("fault: silenced");
      if (deliveries.lost > 0) {
        deliveries.lost -= 1;
        throw new Error("fault: a delivery is lost");
      }
      const answer = await deliver.call(this, request);
      if (deliveries.unconfirmed > 0) {
        deliveries.unconfirmed -= 1;
        throw new Error("fault: a delivery is not confirmed");
      }
      return answer;
    });
  }

  #loseAnswers(method: Method): void {
    const prototype = ChannelDurableObject.prototype as unknown as Record<Method, Call>;
    const call = prototype[method];
    const faults = this;
    vi.spyOn(prototype, method).mockImplementation(async function (
      this: ChannelDurableObject,
      request,
    ) {
      const { answers } = faults;
      const answer =
        method === "publish"
          ? await faults.#publish(this, call, request)
          : await call.call(this, request);
      if (answers[method] === 0) return answer;
      answers[method] -= 1;
      throw new Error(`fault: an answer to ${method} is lost`);
    });
  }

  /** Has a life that ends before it delivers deliver nothing, and notes whose turn it is. */
  #endLives(): void {
    const faults = this;
    const flush = ChannelLife.prototype.flush;
    vi.spyOn(ChannelLife.prototype, "flush").mockImplementation(function (this: ChannelLife) {
      if (!faults.#ended.has(this)) flush.call(this);
    });
    const isReady = ChannelLife.prototype.isReady;
    vi.spyOn(ChannelLife.prototype, "isReady").mockImplementation(function (this: ChannelLife) {
      const is = isReady.call(this);
      if (is) faults.#current = { life: this, wait: undefined };
      // What is published in this step is delivered in it.
      if (is && faults.#strikes) faults.#ended.add(this);
      return is;
    });
    const ready = ChannelLife.prototype.ready;
    vi.spyOn(ChannelLife.prototype, "ready").mockImplementation(function (this: ChannelLife) {
      const wait = ready.call(this);
      faults.#current = { life: this, wait };
      return wait;
    });
  }

  /** A publish that may have its channel reset. */
  async #publish(
    object: ChannelDurableObject,
    call: Call,
    request: Uint8Array,
  ): Promise<Uint8Array> {
    const { ctx } = object as unknown as { ctx: DurableObjectState };
    const channel = ctx.id.name ?? "";
    if (this.closed.has(channel)) throw new Error("fault: a publish is not taken");
    const moment = this.#crashes.get(channel);
    // That of another channel says nothing of this one.
    this.#current = undefined;
    this.#strikes = moment === "before delivery";
    const answering = call.call(object, request);
    this.#strikes = false;
    const current = this.#current as Asked | undefined;
    // Who comes while the crash is under way is not answered either.
    const ended = current !== undefined && this.#ended.has(current.life);
    if (moment === undefined && !ended) return await answering;
    if (moment === "before the answer") await answering;
    else if (current !== undefined) {
      // Now the publish has been taken, in this very turn, and has not been delivered.
      await current.wait?.catch(() => {});
      this.#ended.add(current.life);
    }
    await ctx.storage.sync();
    this.#crashes.delete(channel);
    ctx.abort("fault");
    return await answering;
  }
}
