/**
 * What a gateway has to report to the object of one user: which of its sessions are the user's. All that changes in
 * one turn of the event loop travels in one call, at most one call is in flight, and what comes meanwhile goes
 * with the next. A call is repeated as it is until its deadline; one that fails for good leaves the registration
 * unsettled, and the next one names all sessions.
 *
 * | state | since | the next call names |
 * | --- | --- | --- |
 * | settled | a call was answered, or there was never a session | what has changed since |
 * | unsettled | a call failed for good, the object has lost what it knew, or an earlier life left a row | all sessions |
 *
 * An unsettled registration that has sessions is called again within ten seconds, and any by the next sweep.
 */
import { Rerun } from "../../engine/background.ts";
import type { JoinAnswer, UserSession } from "../../engine/ports/directory.ts";
import type { Revocation } from "../../engine/ports/revocations.ts";
import {
  encodeUserChange,
  type UserChange,
  type UserChangeAnswer,
  userChangeAnswer,
} from "../calls/directory-calls.ts";
import { retrying, toDirectory } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { RegistrationTable, UserRegistrationRow } from "../ports/registrations.ts";
import type { Trouble } from "../trouble.ts";
import type { CallSlots } from "./call-slots.ts";
import type { Turn } from "./turn.ts";

/** What the registration needs from the gateway around it. */
export interface UserRegistrationHost {
  readonly gateway: string;
  readonly userRegistrations: RegistrationTable<UserRegistrationRow>;
  readonly calls: Pick<ObjectCalls, "user">;
  readonly platform: ObjectPlatform;
  readonly turn: Turn;
  /** Of calls to the directory. */
  readonly trouble: Trouble;
  /** The calls to users' objects. */
  readonly tellings: CallSlots;
  /** The next number of a request. */
  sequence(): number;
  /**
   * Tokens are revoked, as the object of their user says.
   *
   * @param entering sessions that hear it by the answer to a call that comes
   */
  revoked(revocations: readonly Revocation[], entering: ReadonlySet<string>): void;
}

/** A session that waits to hear whether it has joined. */
interface Joiner {
  readonly sessionId: string;
  readonly answered: PromiseWithResolvers<JoinAnswer>;
}

/** After a call that failed for good the object is called again within this time, in milliseconds. */
const AGAIN_MS = 10_000;

export class UserRegistration {
  readonly #user: string;
  readonly #host: UserRegistrationHost;
  /** The user's sessions of this gateway, by id. */
  readonly #sessions = new Map<string, UserSession>();
  /** What has changed since the last call began. */
  readonly #joined = new Set<string>();
  readonly #left = new Set<string>();
  #joiners: Joiner[] = [];
  /** Sessions that the user may have, as the last one to join has said; 0 for any number. */
  #limit = 0;
  /** Whether there is a row; undefined until it was read. */
  #row: boolean | undefined;
  /** The gateway slept, and the object knows the sessions that were here. */
  #restored = false;
  /** The object may know sessions that are none, or miss some. */
  #unsettled = false;
  #again: (() => void) | undefined;
  readonly #telling: Rerun;

  constructor(user: string, host: UserRegistrationHost) {
    this.#user = user;
    this.#host = host;
    this.#telling = new Rerun({
      collect: () => host.turn.next(),
      work: () => this.#tellAll(),
      logger: host.platform.logger,
      what: "telling who a user's sessions are",
    });
  }

  /** Whether there is nothing to know, and nothing in flight. */
  get idle(): boolean {
    return this.#telling.idle && this.#sessions.size === 0;
  }

  /** Whether something may have to be reported to the object that was not. */
  get stale(): boolean {
    this.#readRow();
    return this.#unsettled || this.#sessions.size === 0;
  }

  /** What an earlier life has noted of this user. */
  found(row: UserRegistrationRow): void {
    if (this.#row === undefined) this.#read(row);
  }

  /** A session that had joined before the gateway slept. */
  restore(session: UserSession): void {
    this.#restored = true;
    this.#sessions.set(session.sessionId, session);
  }

  /** @throws MessagingError UNAVAILABLE when the object does not answer in time */
  async join(session: UserSession, limit: number): Promise<JoinAnswer> {
    const { sessionId } = session;
    this.#sessions.set(sessionId, session);
    this.#joined.add(sessionId);
    this.#limit = limit;
    const answered = Promise.withResolvers<JoinAnswer>();
    this.#joiners.push({ sessionId, answered });
    this.#telling.soon();
    return await answered.promise;
  }

  leave(sessionId: string): void {
    // One that was refused is known nowhere.
    if (!this.#sessions.delete(sessionId)) return;
    this.#joined.delete(sessionId);
    this.#left.add(sessionId);
    this.#telling.soon();
  }

  /** The object has lost all that it knew. The next time that it is called it hears of all sessions. */
  forgotten(): void {
    this.#unsettled = true;
  }

  /** Reports to the object what holds now, when something has changed that was not reported yet. */
  async settle(): Promise<void> {
    await this.#telling.ask();
  }

  /** Reports all that has to be reported now, and answers all waiters, after a failure too. */
  async #tellAll(): Promise<void> {
    const joiners = this.#joiners;
    this.#joiners = [];
    try {
      const change = this.#take(joiners);
      const { refused, revocations } = change ? await this.#tell(change) : NOTHING_SAID;
      for (const { sessionId, answered } of joiners) {
        answered.resolve({ full: refused.has(sessionId), revocations });
      }
      if (revocations.length > 0) this.#host.turn.soon(() => this.#revoked(revocations));
    } catch (error) {
      for (const { answered } of joiners) answered.reject(error);
      this.#failed(error);
    }
  }

  /**
   * Those are ended that have joined before, and could not hear of it. One that was joining has been answered by now, and
   * one that has come meanwhile is answered by the next call.
   */
  #revoked(revocations: readonly Revocation[]): void {
    const entering = new Set(this.#joiners.map(({ sessionId }) => sessionId));
    this.#host.revoked(revocations, entering);
  }

  /** Everything that has to be reported now, or undefined when the object need not know. */
  #take(joiners: readonly Joiner[]): UserChange | undefined {
    const row = this.#readRow();
    const complete = this.#unsettled;
    const joined = complete
      ? [...this.#sessions.values()]
      : [...this.#joined].flatMap((id) => this.#sessions.get(id) ?? []);
    const left = [...this.#left];
    this.#joined.clear();
    this.#left.clear();
    // Without a row no session was ever named.
    if (!row && joined.length === 0) return undefined;
    if (!complete && joined.length === 0 && left.length === 0) return undefined;
    if (!row) this.#store(false);
    const { gateway } = this.#host;
    const connecting = new Set(joiners.map(({ sessionId }) => sessionId));
    const sequence = this.#host.sequence();
    return { gateway, sequence, joined, left, complete, connecting, limit: this.#limit };
  }

  async #tell(change: UserChange): Promise<UserChangeAnswer> {
    const { calls, platform, tellings, trouble, userRegistrations } = this.#host;
    const request = encodeUserChange(change);
    // A repeated call has the same number, and changes nothing.
    const answer = userChangeAnswer(
      await tellings.run(() =>
        retrying(() => calls.user(this.#user).update(request), toDirectory(platform, trouble)),
      ),
    );
    for (const sessionId of answer.refused) this.#sessions.delete(sessionId);
    const noted = change.complete && this.#unsettled;
    this.#unsettled = false;
    if (this.#sessions.size === 0 && this.#left.size === 0) {
      userRegistrations.delete(this.#user);
      this.#row = false;
    } else if (noted) this.#store(false);
    return answer;
  }

  /** The object may have heard it or not. A later request names all sessions, and hears what is revoked. */
  #failed(error: unknown): void {
    this.#unsettled = true;
    this.#again ??= this.#host.platform.timers.after(AGAIN_MS, () => {
      this.#again = undefined;
      if (this.#unsettled && this.#sessions.size > 0) this.#telling.soon();
    });
    try {
      if (this.#row) this.#store(true);
    } catch (cause) {
      // A later life takes every row that it finds for unsettled.
      const fields = { error: String(error), cause: String(cause) };
      this.#host.platform.logger.warn("a user's registration cannot be noted", fields);
    }
  }

  #store(unsettled: boolean): void {
    this.#host.userRegistrations.set(this.#user, { unsettled });
    this.#row = true;
  }

  /** Whether there is a row. Where none of its sessions has outlived the life that wrote it, they have all ended. */
  #readRow(): boolean {
    return this.#row ?? this.#read(this.#host.userRegistrations.get(this.#user));
  }

  #read(row: UserRegistrationRow | undefined): boolean {
    this.#row = row !== undefined;
    this.#unsettled ||= row !== undefined && (row.unsettled || !this.#restored);
    return this.#row;
  }
}

const NOTHING_SAID: UserChangeAnswer = { refused: new Set(), revocations: [] };
