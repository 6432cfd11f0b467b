/**
 * Which tokens of a user are revoked, and which gateways have yet to end the sessions that came by them. They hear it
 * at once, and by the object's alarm for as long as one has not answered.
 */
import { made } from "../../channels/maps.ts";
import { background } from "../../engine/background.ts";
import type { Revocation } from "../../engine/ports/revocations.ts";
import { MessagingError, unavailable } from "../../protocol/errors.ts";
import { MAX_USER_REVOCATIONS } from "../../protocol/limits.ts";
import { SharedAlarm } from "../alarm.ts";
import { encodeRevokeCall } from "../calls/directory-calls.ts";
import { askGateway } from "../calls/gateway-calls.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { ObjectStorage } from "../ports/storage.ts";
import type { UserRevocationRow, UserStore } from "../ports/user-store.ts";
import { Trouble } from "../trouble.ts";

/** How long a gateway may take to end the sessions, in milliseconds. */
const ANSWER_MS = 2_000;
/** After this long a gateway that has not answered is called again, in milliseconds. */
const AGAIN_MS = 2_000;

export interface UserRevocationsHost {
  /** What the object keeps, opened when it is first asked for. */
  store(): UserStore;
  readonly storage: ObjectStorage;
  readonly calls: Pick<ObjectCalls, "gateway">;
  readonly platform: ObjectPlatform;
  /** Gateways that have sessions of the user, some of them several times. */
  gateways(): readonly string[];
}

export class UserRevocations {
  readonly #host: UserRevocationsHost;
  readonly #alarm: SharedAlarm;
  readonly #trouble: Trouble;
  /** By token; undefined until it was read. */
  #rows: Map<string, UserRevocationRow> | undefined;

  constructor(host: UserRevocationsHost) {
    this.#host = host;
    this.#alarm = new SharedAlarm(host.storage, host.platform);
    this.#trouble = new Trouble("telling gateways what is revoked", host.platform);
  }

  get size(): number {
    return this.#opened.size;
  }

  /** Those that are not over. */
  all(): readonly Revocation[] {
    const now = this.#host.platform.clock.now();
    return [...this.#opened.values()].filter(({ until }) => until > now);
  }

  /** @throws MessagingError RATE_LIMITED where too many of the user's tokens are revoked already */
  add({ userId, tokenId, time, until }: Revocation): void {
    const { clock, logger } = this.#host.platform;
    if (!this.#opened.has(tokenId) && this.size >= MAX_USER_REVOCATIONS) this.#dropOver();
    const known = this.#opened.get(tokenId);
    if (known === undefined && this.size >= MAX_USER_REVOCATIONS) {
      throw new MessagingError("RATE_LIMITED", "too many tokens of this user are revoked already");
    }
    this.#save({
      userId,
      tokenId,
      time: Math.max(time, known?.time ?? 0),
      until: Math.max(until, known?.until ?? 0),
      owed: [...new Set(this.#host.gateways())],
    });
    this.#alarm.by(clock.now() + AGAIN_MS);
    background(this.#tellAll(), logger, "telling gateways what is revoked");
  }

  async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      this.#dropOver();
      await this.#tellAll();
      const rows = [...this.#opened.values()];
      if (rows.some(({ owed }) => owed.length > 0)) {
        throw unavailable("a gateway has not answered");
      }
      if (rows.length > 0) this.#alarm.by(Math.min(...rows.map(({ until }) => until)));
    });
  }

  /** What is known is read again, and an alarm that there was may be gone. */
  lose(): void {
    this.#rows = undefined;
    this.#alarm.found(undefined);
  }

  /** Sends each gateway that is owed it all that it has to know. */
  async #tellAll(): Promise<void> {
    const byGateway = new Map<string, UserRevocationRow[]>();
    for (const row of this.#opened.values()) {
      for (const gateway of row.owed) {
        made(byGateway, gateway, () => []).push(row);
      }
    }
    await Promise.all([...byGateway].map(([gateway, rows]) => this.#tell(gateway, rows)));
  }

  async #tell(gateway: string, rows: readonly UserRevocationRow[]): Promise<void> {
    const { calls, platform } = this.#host;
    try {
      const request = encodeRevokeCall(rows);
      const answer = await askGateway(calls.gateway(gateway), request, platform, ANSWER_MS);
      if (answer.case !== "revoked") throw unavailable("the gateway has ended no session");
      this.#trouble.worked();
    } catch (error) {
      this.#trouble.failed(error);
      return;
    }
    for (const { tokenId, time } of rows) {
      const now = this.#opened.get(tokenId);
      // Of a token that was revoked again meanwhile the gateway may have newer sessions.
      if (now?.time !== time) continue;
      this.#save({ ...now, owed: now.owed.filter((one) => one !== gateway) });
    }
  }

  #save(row: UserRevocationRow): void {
    const rows = this.#opened;
    this.#host.store().saveRevocation(row);
    rows.set(row.tokenId, row);
  }

  #dropOver(): void {
    const now = this.#host.platform.clock.now();
    for (const { tokenId, until } of [...this.#opened.values()]) {
      if (until > now) continue;
      this.#host.store().dropRevocation(tokenId);
      this.#opened.delete(tokenId);
    }
  }

  get #opened(): Map<string, UserRevocationRow> {
    if (this.#rows === undefined) {
      const rows = [...this.#host.store().revocations()].map((row) => [row.tokenId, row] as const);
      this.#rows = new Map(rows);
    }
    return this.#rows;
  }
}
