/**
 * Tickets: what a page shows in a URL to read events, where no header can be sent. A server of the
 * application has them made for one user and some channels, and they are good for minutes.
 */
import { coveredBy, patternProblem } from "../../channels/patterns.ts";
import type { Action, Grant } from "../../engine/ports/access.ts";
import type { Clock, Hmac } from "../../engine/ports/platform.ts";
import { sameBytes } from "../../protocol/bytes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import {
  MAX_TICKET_CHANNELS,
  MAX_TICKET_LENGTH,
  MAX_TICKET_TTL_MS,
  MAX_USER_ID_BYTES,
} from "../../protocol/limits.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import { readClaims, type TicketClaims, takeApart, withMac, writeClaims } from "./ticket.ts";

/** A secret that tickets are signed with. */
export interface TicketKey {
  /** Stands in every ticket that it signs; letters, digits and hyphens, at most 32. */
  readonly id: string;
  readonly secret: Uint8Array;
}

export interface TicketsOptions {
  /** The first signs; a ticket of any of them is good. Without any there are no tickets. */
  readonly keys: readonly TicketKey[];
  readonly hmac: Hmac;
  readonly clock: Clock;
}

/** Whom a ticket is for, and what for. */
export interface TicketRequest {
  /** Its bearer's user, at most 255 bytes; empty for an anonymous one. */
  readonly user: string;
  /** Channels and patterns, 1 to 32. */
  readonly channels: readonly string[];
  /** How long it is good, in milliseconds, 1 s to 10 min. */
  readonly ttlMs: number;
}

export interface MadeTicket {
  /** At most 4,096 visible characters that need no escape in a URL. */
  readonly ticket: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

const CLOSED = "this server makes no tickets: it has no api.ticket_keys";
const SHORTEST_MS = 1_000;
/** What the bearer of a ticket does: it reads what comes, and what it has missed. */
const READS: readonly Action[] = ["subscribe", "history"];

/** A ticket that is good, or was. */
export class Ticket {
  readonly user: string;
  /** When it was made, Unix milliseconds; 0 where it does not say. */
  readonly issuedAt: number;
  readonly expired: boolean;
  readonly #channels: readonly string[];

  constructor({ user, channels, issued = 0, expires }: TicketClaims, now: number) {
    this.user = user;
    this.issuedAt = issued;
    this.expired = expires <= now;
    this.#channels = channels;
  }

  /** @param channel a channel, or a pattern: then its channels, all of them */
  isFor(channel: string): boolean {
    return coveredBy(this.#channels, channel);
  }

  /** What it lets its bearer do, as far as no rule denies it. */
  get grants(): readonly Grant[] {
    return this.#channels.map((pattern) => ({ pattern, actions: READS }));
  }
}

export class Tickets {
  readonly #keys: readonly TicketKey[];
  readonly #hmac: Hmac;
  readonly #clock: Clock;

  constructor({ keys, hmac, clock }: TicketsOptions) {
    this.#keys = keys;
    this.#hmac = hmac;
    this.#clock = clock;
  }

  /**
   * Makes a ticket.
   *
   * @throws MessagingError UNIMPLEMENTED without a key to sign with, BAD_REQUEST for a request that is not valid
   * @example
   * const { ticket } = await tickets.mint({ user: "u1", channels: ["chat.**"], ttlMs: 60_000 });
   * const url = `/channels/chat.lobby/events?ticket=${ticket}`;
   */
  async mint({ user, channels, ttlMs }: TicketRequest): Promise<MadeTicket> {
    const [key] = this.#keys;
    if (key === undefined) throw new MessagingError("UNIMPLEMENTED", CLOSED);
    const problem = userProblem(user) ?? channelsProblem(channels) ?? ttlProblem(ttlMs);
    if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
    const issued = this.#clock.now();
    const expiresAt = issued + ttlMs;
    const signed = writeClaims(key.id, { user, channels, issued, expires: expiresAt });
    const ticket = withMac(signed, await this.#hmac(key.secret, utf8Encode(signed)));
    if (ticket.length > MAX_TICKET_LENGTH) {
      throw new MessagingError(
        "BAD_REQUEST",
        "the names of the channels are too long for one ticket",
      );
    }
    return { ticket, expiresAt };
  }

  /**
   * Reads a ticket that a client shows. One that has expired is distinguished from one that was never good.
   *
   * @throws MessagingError AUTH_ERROR for what no key of ours has signed
   */
  async read(text: string): Promise<Ticket> {
    const claims = text.length > MAX_TICKET_LENGTH ? undefined : await this.#claims(text);
    // Nothing of it is repeated: an error may end in a log.
    if (claims === undefined) throw new MessagingError("AUTH_ERROR", "the ticket is not valid");
    return new Ticket(claims, this.#clock.now());
  }

  async #claims(text: string): Promise<TicketClaims | undefined> {
    const parts = takeApart(text);
    const key = this.#keys.find(({ id }) => id === parts?.key);
    if (parts === undefined || key === undefined) return undefined;
    const expected = await this.#hmac(key.secret, parts.signed);
    return sameBytes(expected, parts.mac) ? readClaims(parts.claims) : undefined;
  }
}

function userProblem(user: string): string | undefined {
  if (!user.isWellFormed()) return "user is not valid Unicode";
  if (utf8Length(user) <= MAX_USER_ID_BYTES) return undefined;
  return `user is longer than ${MAX_USER_ID_BYTES} bytes`;
}

function channelsProblem(channels: readonly string[]): string | undefined {
  if (channels.length === 0) return "a ticket is for a channel at least";
  if (channels.length > MAX_TICKET_CHANNELS) {
    return `a ticket is for at most ${MAX_TICKET_CHANNELS} channels and patterns`;
  }
  for (const channel of channels) {
    const problem = patternProblem(channel);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function ttlProblem(ttlMs: number): string | undefined {
  const whole = Number.isInteger(ttlMs) && ttlMs >= SHORTEST_MS && ttlMs <= MAX_TICKET_TTL_MS;
  return whole ? undefined : `ttl must be ${SHORTEST_MS} to ${MAX_TICKET_TTL_MS} ms`;
}
