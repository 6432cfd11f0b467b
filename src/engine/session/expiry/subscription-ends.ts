/** When the subscriptions of a session end that have tokens of their own: by themselves, or because those are revoked. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { made } from "../../../channels/maps.ts";
import {
  type SubscriptionEnd,
  SubscriptionEndSchema,
} from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { TOKEN_NOTICE_MS } from "../../../protocol/limits.ts";
import type { SubscriptionConsent, SubscriptionToken } from "../../ports/backends.ts";
import { countOf, uint64Of } from "../../subscription/positions.ts";

interface End {
  /** Unix milliseconds. */
  readonly at: number;
  /** Whether the client has been warned. */
  told: boolean;
  readonly token: SubscriptionToken;
}

/** The end of what is over already. */
const OVER = 0;

export class SubscriptionEnds {
  readonly #ends = new Map<string, End>();
  /** Tokens of subscriptions that are being made, and which of them have been revoked since they were looked at. */
  readonly #awaited = new Map<SubscriptionConsent, "good" | "revoked">();

  get size(): number {
    return this.#ends.size;
  }

  /** A subscription is being made by this token. What is revoked from now on holds for it when it is there. */
  await(consent: SubscriptionConsent): void {
    this.#awaited.set(consent, "good");
  }

  /** The subscription is there, or never will be. */
  release(consent: SubscriptionConsent): void {
    this.#awaited.delete(consent);
  }

  /** @param consent undefined for a subscription that does not end by itself */
  set(channel: string, consent: SubscriptionConsent | undefined): void {
    if (consent === undefined) {
      this.#ends.delete(channel);
      return;
    }
    const over = this.#awaited.get(consent) === "revoked";
    const at = over ? OVER : consent.expiresAt;
    this.#ends.set(channel, { at, told: over, token: consent.token });
  }

  /**
   * Ends the subscriptions whose tokens are revoked.
   *
   * @returns whether any of them is due now by that
   */
  revoke(revoked: (token: SubscriptionToken) => boolean): boolean {
    let due = false;
    for (const [channel, { token }] of this.#ends) {
      if (!revoked(token)) continue;
      this.#ends.set(channel, { at: OVER, told: true, token });
      due = true;
    }
    for (const consent of this.#awaited.keys()) {
      if (revoked(consent.token)) this.#awaited.set(consent, "revoked");
    }
    return due;
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

  /** Those whose client is to be warned now, by when they end: they count as warned. */
  takeNotices(now: number): ReadonlyMap<number, readonly string[]> {
    const notices = new Map<number, string[]>();
    for (const [channel, end] of this.#ends) {
      if (end.told || now < end.at - TOKEN_NOTICE_MS) continue;
      end.told = true;
      made(notices, end.at, () => []).push(channel);
    }
    return notices;
  }

  records(): MessageInitShape<typeof SubscriptionEndSchema>[] {
    return [...this.#ends].map(([channel, { at, told, token }]) => {
      const { tokenId = "", issuedAt = 0 } = token;
      const times = { at: uint64Of(at), issuedAt: uint64Of(issuedAt) };
      return create(SubscriptionEndSchema, { channel, told, tokenId, ...times });
    });
  }

  restore(records: readonly SubscriptionEnd[]): void {
    for (const { channel, at, told, tokenId, issuedAt } of records) {
      const token = { ...(tokenId === "" ? {} : { tokenId }), issuedAt: countOf(issuedAt) };
      this.#ends.set(channel, { at: countOf(at), told, token });
    }
  }
}
