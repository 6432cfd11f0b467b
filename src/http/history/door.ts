/** `GET /channels/{channel}/history`: which client may read a channel's history by URL, and what each request is answered. */
import type { RuleBook } from "../../channels/rules.ts";
import { errorText } from "../../engine/error-text.ts";
import type { HistoryFilter, HistoryPage } from "../../engine/ports/broker.ts";
import type { Identity } from "../../engine/ports/identity.ts";
import type { Clock, Logger, Timers } from "../../engine/ports/platform.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { MAX_BATCH_BYTES } from "../../protocol/limits.ts";
import { type ChannelPath, channelIn } from "../channel-path.ts";
import { admit, refusalOf } from "../cors.ts";
import { type HandshakeRules, handshakeRequest } from "../handshake.ts";
import type { KeyPeer } from "../keys/keys.ts";
import { type Reader, type ReaderTerms, readerOf } from "../readers.ts";
import { problemResponse, statusOf } from "../statuses.ts";
import {
  GoneError,
  goneResponse,
  NEXT_OFFSET,
  pageResponse,
  readPage,
  UP_TO_DATE,
} from "./page.ts";
import { type HistoryQuery, historyQuery, type Start } from "./query.ts";
import { type OpenTail, REVOKED, untilNext } from "./tail.ts";

/** What follows the channel in the path. */
export const HISTORY_PATH = "/history";

/** Texts of others are no page, and the address may hold a ticket. */
const ALWAYS = { "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" };
const METHODS = ["GET", "HEAD"];
const DOOR = { methods: METHODS, headers: [], exposed: [NEXT_OFFSET, UP_TO_DATE, "ETag"] };
/** A public page is the same for every origin: caches do not distinguish readers. */
const EVERY_ORIGIN = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": DOOR.exposed.join(", "),
};
const ANYBODY: Reader = { userId: "", issuedAt: undefined, readsHistory: true };

export interface HistoryDoorOptions extends ReaderTerms {
  readonly rules: HandshakeRules;
  /** What channels keep, and which of them are public. */
  readonly channels: RuleBook;
  /** Message kinds that the deployment has switched off. */
  readonly disabled: readonly string[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What the host does for a request. */
export interface HistoryHost {
  readonly history: (channel: string, filter: HistoryFilter) => Promise<HistoryPage>;
  readonly open: OpenTail;
  /**
   * Whether a ticket is revoked.
   *
   * @throws MessagingError UNAVAILABLE where that cannot be known now
   */
  readonly revoked: (ticket: Pick<Identity, "userId" | "issuedAt">) => Promise<boolean>;
}

export class HistoryDoor {
  readonly #options: HistoryDoorOptions;

  constructor(options: HistoryDoorOptions) {
    this.#options = options;
  }

  /**
   * Answers a request.
   *
   * @param path of the request, whose rest is HISTORY_PATH
   */
  async answer(
    request: Request,
    path: ChannelPath,
    peer: KeyPeer,
    host: HistoryHost,
  ): Promise<Response> {
    const { channels, rules, logger } = this.#options;
    let channel: string;
    try {
      channel = channelIn(path.encoded);
    } catch (error) {
      return problemResponse(error, ALWAYS);
    }
    const isPublic = channels.of(channel).public;
    const pages = isPublic ? { allowedOrigins: ["*"] } : rules;
    const admission = admit(handshakeRequest(request), pages, DOOR);
    if (!admission.admitted) {
      const { status, reason } = admission;
      if (reason === undefined) return refusalOf(admission);
      logger.debug?.("history refused", { address: peer.address, status, reason: shown(reason) });
      const refusal = new MessagingError("ACL_ERROR", "pages of this origin may not read history");
      return problemResponse(refusal, { ...ALWAYS, Vary: "Origin" });
    }
    const headers = { ...ALWAYS, ...(isPublic ? EVERY_ORIGIN : admission.headers) };
    try {
      return await this.#page(request, channel, peer, host, headers);
    } catch (error) {
      if (error instanceof GoneError) return goneResponse(error, headers);
      const known = MessagingError.from(error);
      const { http: status } = statusOf(known);
      if (known !== error) logger.warn("history failed", { error: errorText(error) });
      logger.debug?.("history refused", { address: peer.address, status, reason: known.message });
      const allow = status === 405 ? { Allow: METHODS.join(", ") } : {};
      return problemResponse(known, { ...headers, ...allow });
    }
  }

  async #page(
    request: Request,
    channel: string,
    peer: KeyPeer,
    host: HistoryHost,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const { channels, clock, timers } = this.#options;
    if (!METHODS.includes(request.method)) {
      throw new MessagingError("METHOD_NOT_ALLOWED", "history is read by GET");
    }
    const query = historyQuery(new URL(request.url).searchParams);
    const waits = query.waits && request.method === "GET";
    this.#mustHave("history_request");
    if (waits) this.#mustHave("subscribe");
    const rules = channels.of(channel);
    const reader = await this.#reader(request, channel, peer, rules.public);
    const { userId, issuedAt } = reader;
    if (issuedAt !== undefined && (await host.revoked({ userId, issuedAt }))) {
      throw new MessagingError("AUTH_ERROR", REVOKED);
    }
    if (rules.transient) throw new MessagingError("BAD_REQUEST", "the channel keeps no history");
    let page = await read(host, channel, query);
    let waited = false;
    if (waits && page.messages.length === 0) {
      const client = { userId, issuedAt, address: peer.address };
      const since = page.last;
      await untilNext({ channel, since, client, open: host.open, timers });
      page = await read(host, channel, { ...query, start: since });
      waited = true;
    }
    const keeping = {
      isPublic: rules.public,
      historyTtlMs: rules.historyTtlMs,
      now: clock.now(),
    };
    return pageResponse(request, page, { start: query.start, waited }, keeping, headers);
  }

  /** @throws MessagingError UNIMPLEMENTED where the deployment has switched a kind of message off */
  #mustHave(kind: string): void {
    if (!this.#options.disabled.includes(kind)) return;
    throw new MessagingError("UNIMPLEMENTED", `this server has switched ${kind} off`);
  }

  /** The reader. A public channel needs neither key nor ticket, but one that comes has to be valid. */
  async #reader(
    request: Request,
    channel: string,
    peer: KeyPeer,
    isPublic: boolean,
  ): Promise<Reader> {
    const shows =
      request.headers.has("Authorization") || new URL(request.url).searchParams.has("ticket");
    if (isPublic && !shows) return ANYBODY;
    const reader = await readerOf(request, channel, peer, this.#options);
    if (reader === undefined) throw new MessagingError("AUTH_ERROR", "the ticket has expired");
    if (reader.readsHistory) return reader;
    throw new MessagingError("ACL_ERROR", "the user may not read history of this channel");
  }
}

/** Characters of a reason that reach the log: a header may be as long as its sender likes. */
const MAX_SHOWN = 500;

function shown(reason: string): string {
  return reason.slice(0, MAX_SHOWN);
}

async function read(
  { history }: HistoryHost,
  channel: string,
  { start, limit }: Pick<HistoryQuery, "start" | "limit">,
) {
  const filter = { since: sinceOf(start), limit: start === "now" ? 0 : limit };
  return readPage(channel, start, await history(channel, { ...filter, maxBytes: MAX_BATCH_BYTES }));
}

function sinceOf(start: Start) {
  return typeof start === "string" ? undefined : start;
}
