/**
 * The object of one user: which sessions the user has, on which gateways, and which of the user's tokens are revoked.
 * Each gateway reports what has changed there, and names all its sessions after a call whose outcome it does not know; it hears
 * in return what is revoked. An object without sessions and revocations keeps nothing at all.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { background } from "../../engine/background.ts";
import {
  RevocationSchema,
  type UserSessionsRequest,
  UserSessionsRequestSchema,
  UserSessionsResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { encodeUserChangeAnswer, revocationOf } from "../calls/directory-calls.ts";
import { encode } from "../calls/encode.ts";
import type { Called, UserStub } from "../ports/calls.ts";
import type { UserSessionRow, UserStore } from "../ports/user-store.ts";
import { SessionCheck } from "./session-check.ts";
import { UserRevocations, type UserRevocationsHost } from "./user-revocations.ts";

/** What the object needs from its host. */
export type UserObjectHost = Omit<UserRevocationsHost, "gateways">;

interface Open {
  readonly store: UserStore;
  /** By session id. */
  readonly rows: Map<string, UserSessionRow>;
}

export class UserObject implements Called<UserStub> {
  readonly #host: UserObjectHost;
  /** Undefined until it was read. */
  #open: Open | undefined;
  readonly #revocations: UserRevocations;
  readonly #check: SessionCheck;
  /** The last request of each gateway. */
  readonly #sequences = new Map<string, bigint>();

  constructor(host: UserObjectHost) {
    this.#host = host;
    this.#check = new SessionCheck(host);
    this.#revocations = new UserRevocations({
      ...host,
      store: () => this.#opened.store,
      gateways: () => [...this.#opened.rows.values()].map(({ gateway }) => gateway),
    });
  }

  update(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const change = fromBinary(UserSessionsRequestSchema, request);
    const refused = this.#stored(() => this.#update(change));
    // Sessions that a gateway has not taken back must not keep the user out.
    return refused.length === 0 ? this.#answer([]) : this.#updateAgain(change);
  }

  sessions(): Uint8Array {
    const sessions = [...this.#opened.rows.values()].map(({ sessionId, since }) => ({
      sessionId,
      since: BigInt(since),
    }));
    return encode(UserSessionsResponseSchema, { sessions });
  }

  revoke(request: Uint8Array): void {
    const revocation = revocationOf(fromBinary(RevocationSchema, request));
    this.#stored(() => this.#revocations.add(revocation));
  }

  /** Gateways that could not be reached are called again, and what is over is forgotten. */
  async alarm(): Promise<void> {
    await this.#revocations.alarm();
    this.#forgetNothing();
  }

  async #updateAgain(change: UserSessionsRequest): Promise<Uint8Array> {
    const gone = await this.#check.gone([...this.#opened.rows.values()]);
    return this.#answer(
      this.#stored(() => {
        for (const sessionId of gone) this.#drop(sessionId);
        return this.#update(change);
      }),
    );
  }

  #answer(refused: readonly string[]): Uint8Array {
    return encodeUserChangeAnswer(refused, this.#revocations.all());
  }

  /** Returns the ids of sessions that are one too many. */
  #update(change: UserSessionsRequest): string[] {
    const { gateway, sequence, joined, left, complete, limit } = change;
    const { rows } = this.#opened;
    const refused: string[] = [];
    if (sequence >= (this.#sequences.get(gateway) ?? 0n)) {
      this.#sequences.set(gateway, sequence);
      const named = new Set(joined.map(({ sessionId }) => sessionId));
      for (const row of complete ? [...rows.values()] : []) {
        if (row.gateway === gateway && !named.has(row.sessionId)) this.#drop(row.sessionId);
      }
      // A session that has ended makes room.
      for (const sessionId of left) this.#drop(sessionId);
      const gone = new Set(left);
      for (const { sessionId, since, connecting } of joined) {
        if (rows.has(sessionId) || gone.has(sessionId)) continue;
        if (connecting && limit > 0 && rows.size >= limit) refused.push(sessionId);
        else this.#save({ sessionId, gateway, since: Number(since) });
      }
    }
    for (const sessionId of left) this.#drop(sessionId);
    this.#forgetNothing();
    return refused;
  }

  #save(row: UserSessionRow): void {
    const { rows, store } = this.#opened;
    store.save(row);
    rows.set(row.sessionId, row);
  }

  #drop(sessionId: string): void {
    const { rows, store } = this.#opened;
    if (rows.delete(sessionId)) store.drop(sessionId);
  }

  /** An object that has nothing to keep keeps nothing. Begun in the step that found no session: the next one to join finds an empty store. */
  #forgetNothing(): void {
    if (this.#opened.rows.size > 0 || this.#revocations.size > 0) return;
    this.#lose();
    const forgotten = Promise.resolve(this.#host.storage.forget());
    background(forgotten, this.#host.platform.logger, "forgetting a user");
  }

  /** What could not be stored is not so: it is read again. */
  #stored<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#lose();
      throw error;
    }
  }

  #lose(): void {
    this.#open = undefined;
    this.#revocations.lose();
  }

  get #opened(): Open {
    if (this.#open === undefined) {
      const store = this.#host.store();
      const rows = [...store.sessions()].map((row) => [row.sessionId, row] as const);
      this.#open = { store, rows: new Map(rows) };
    }
    return this.#open;
  }
}
