/** When the subscriptions of a session end that have tokens of their own. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type SubscriptionEnd,
  SubscriptionEndSchema,
} from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { TOKEN_NOTICE_MS } from "../../../protocol/limits.ts";
import { countOf, uint64Of } from "../../subscription/positions.ts";

interface End {
  /** Unix milliseconds. */
  readonly at: number;
  /** Whether the client has been told. */
  told: boolean;
}

export class SubscriptionEnds {
  readonly #ends = new Map<string, End>();

  get size(): number {
    return this.#ends.size;
  }

  /** @param at undefined for a subscription that does not end by itself */
  set(channel: string, at: number | undefined): void {
    if (at === undefined) this.#ends.delete(channel);
    else this.#ends.set(channel, { at, told: false });
  }

  /** Forgets those of channels that the session has not. */
  keep(channels: ReadonlySet<string>): void {
    for (const channel of this.#ends.keys()) if (!channels.has(channel)) this.#ends.delete(channel);
  }

  has(channel: string): boolean {
    return this.#ends.has(channel);
  }

  /**
   * When one of them has to be looked at next, Unix milliseconds; undefined where there is none.
   *
   * @param tells whether the client hears of ends ahead
   */
  due(tells: boolean): number | undefined {
    let due: number | undefined;
    for (const { at, told } of this.#ends.values()) {
      const its = tells && !told ? at - TOKEN_NOTICE_MS : at;
      due = Math.min(due ?? its, its);
    }
    return due;
  }

  /** Takes out those that end now, and names them. */
  takeOver(now: number): string[] {
    const over = [...this.#ends].filter(([, { at }]) => at <= now).map(([channel]) => channel);
    for (const channel of over) this.#ends.delete(channel);
    return over;
  }

  /** Those whose client is to be told now, by when they end: they count as told. */
  takeNotices(now: number): ReadonlyMap<number, readonly string[]> {
    const notices = new Map<number, string[]>();
    for (const [channel, end] of this.#ends) {
      if (end.told || now < end.at - TOKEN_NOTICE_MS) continue;
      end.told = true;
      const others = notices.get(end.at);
      if (others === undefined) notices.set(end.at, [channel]);
      else others.push(channel);
    }
    return notices;
  }

  records(): MessageInitShape<typeof SubscriptionEndSchema>[] {
    return [...this.#ends].map(([channel, { at, told }]) =>
      create(SubscriptionEndSchema, { channel, at: uint64Of(at), told }),
    );
  }

  restore(records: readonly SubscriptionEnd[]): void {
    for (const { channel, at, told } of records) this.#ends.set(channel, { at: countOf(at), told });
  }
}
