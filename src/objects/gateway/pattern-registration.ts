/**
 * What a gateway has registered for one pattern, with the one index or all that know it. Registrations
 * carry rising versions, so that calls may overtake each other; a session that asks while one is being made
 * shares it. Once the last session has left a registration must not be used again, even where its end was
 * not reported yet: a channel may have been answered with gone.
 *
 * | state | since | a session that subscribes | `settle` |
 * | --- | --- | --- | --- |
 * | none | the beginning, `end`, `forgotten` or a failure | begins a registration | begins one, or without a session takes the last one back |
 * | being made | a session has asked, or `settle` | waits for its outcome | waits for its outcome |
 * | registered | all indexes have answered | is answered at once | leaves it |
 *
 * One that was made without joins and leaves is none for a session that wants them: another registration is begun.
 */
import { Rerun } from "../../engine/background.ts";
import type { Interest, PatternSubscribeResult } from "../../engine/ports/broker.ts";
import { nextTurn } from "../../engine/ports/timers.ts";
import { unavailable } from "../../protocol/errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../../protocol/limits.ts";
import { indexesOf, LEASE_TERMS } from "../calls/lease-terms.ts";
import { subscribeTo, unsubscribeFrom } from "../calls/pattern-calls.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import { retrying, toIndex } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { PatternRegistrationRow, PatternRegistrationTable } from "../ports/registrations.ts";
import type { Trouble } from "../trouble.ts";

/** The time of all channels is one: indexes keep what they have granted. */
export const TIME_EPOCH = "time";

/** What the registration needs from the gateway around it. */
export interface PatternRegistrationHost {
  readonly gateway: string;
  readonly patternRegistrations: PatternRegistrationTable;
  readonly platform: ObjectPlatform;
  /** Of calls to pattern indexes. */
  readonly indexTrouble: Trouble;
  readonly calls: Pick<ObjectCalls, "channel" | "index">;
  /** What the sessions of this gateway want to hear. */
  interest(): Interest;
}

export class PatternRegistration {
  readonly #pattern: string;
  readonly #host: PatternRegistrationHost;
  /** The registration that holds or is being made; undefined where the next subscriber needs another. */
  #current: Attempt | undefined;
  /** Since when the indexes know it, by their time in Unix milliseconds; undefined while they do not. */
  #since: number | undefined;
  /** Registrations that are being made. */
  #open = 0;
  readonly #settling: Rerun;

  constructor(pattern: string, host: PatternRegistrationHost) {
    const { logger, timers } = host.platform;
    this.#pattern = pattern;
    this.#host = host;
    this.#settling = new Rerun({
      // A session that comes in the same turn has made a registration of its own.
      collect: () => nextTurn(timers),
      work: () => this.#settle(),
      logger,
      what: "telling the end of a pattern",
    });
  }

  /** Whether there is nothing to know, and nothing in flight. */
  get idle(): boolean {
    return this.#current === undefined && this.#open === 0 && this.#settling.idle;
  }

  /** What was reported to the indexes, or is being; undefined while that is nothing. */
  get interest(): PatternInterest | undefined {
    const { version, presence = false } = this.#current ?? {};
    return version === undefined ? undefined : { gateway: this.#host.gateway, version, presence };
  }

  /** Since when it holds in this life of the gateway, Unix milliseconds; undefined while it does not. */
  get since(): number | undefined {
    return this.#since;
  }

  /** Takes back what an earlier life has registered for sessions that are still there. */
  adopt({ version, presence, unsettled }: PatternRegistrationRow): void {
    if (unsettled) return;
    this.#since = this.#host.platform.clock.now();
    this.#current = { version, presence, registered: true, outcome: Promise.resolve(0) };
  }

  /**
   * Registers the pattern where it is not. An index that cannot be reached fails it within
   * CHANNEL_TIMEOUT_MS; one that waits for a channel that does not answer may take a lease and its margin.
   *
   * @throws MessagingError UNAVAILABLE
   */
  async subscribe(): Promise<PatternSubscribeResult> {
    const attempt = this.#fitting() ?? this.#begin();
    const offset = attempt.registered ? this.#host.platform.clock.now() : await attempt.outcome;
    return { position: { epoch: TIME_EPOCH, offset } };
  }

  /** The last session has left the pattern; the indexes hear it when it is settled. */
  end(): void {
    this.#current = undefined;
    this.#since = undefined;
  }

  /** An index has lost all that it knew. What holds goes on, and is registered once more. */
  forgotten(): void {
    this.#current = undefined;
  }

  /** Reports to the indexes what holds now, where they may not know it. */
  async settle(): Promise<void> {
    await this.#settling.ask();
    await this.#current?.outcome.catch(() => {});
  }

  /** Waits for no registration, which may take long: its end has to be reported all the same. */
  async #settle(): Promise<void> {
    if (!this.#host.interest().hasPattern(this.#pattern)) await this.#unregister();
    else if (this.#fitting(true) === undefined) this.#begin();
  }

  /**
   * The registration that is good enough for the sessions of now.
   *
   * @param exactly also where it brings joins and leaves, which no session wants to hear any more
   */
  #fitting(exactly = false): Attempt | undefined {
    const presence = this.#current?.presence;
    const follows = this.#host.interest().hasPatternPresenceFollower(this.#pattern);
    const fits = presence === undefined || presence === follows || (presence && !exactly);
    return fits ? this.#current : undefined;
  }

  #begin(): Attempt {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    // The caller may have gone.
    promise.catch(() => {});
    const attempt: Attempt = {
      version: undefined,
      presence: undefined,
      registered: false,
      outcome: promise,
    };
    this.#current = attempt;
    this.#register(attempt).then(resolve, reject);
    return attempt;
  }

  async #register(attempt: Attempt): Promise<number> {
    const { patternRegistrations: rows } = this.#host;
    this.#open += 1;
    try {
      await nextTurn(this.#host.platform.timers);
      if (this.#current !== attempt) throw unavailable("nobody wants the pattern");
      const pattern = this.#pattern;
      const presence = this.#host.interest().hasPatternPresenceFollower(pattern);
      const version = rows.nextVersion();
      rows.set(pattern, { version, presence, unsettled: false });
      Object.assign(attempt, { version, presence });
      const { calls, gateway, platform } = this.#host;
      const row = { pattern, gateway, version, presence };
      // It may push to thousands of channels; what fails otherwise fails sooner.
      const longest = LEASE_TERMS.leaseMs + LEASE_TERMS.marginMs + CHANNEL_TIMEOUT_MS;
      const register = (name: string): Promise<number> =>
        retrying(() => subscribeTo(calls.index(name), row), {
          ...toIndex(platform, this.#host.indexTrouble),
          callMs: longest,
        });
      const times = await Promise.all(indexesOf(pattern).map(register));
      attempt.registered = true;
      const time = Math.min(...times);
      if (this.#current === attempt) this.#since ??= time;
      return time;
    } catch (error) {
      if (this.#current === attempt) this.#failed(error);
      throw error;
    } finally {
      this.#open -= 1;
      // What the index took after the report of the end is reported as ended once more.
      if (!this.#host.interest().hasPattern(this.#pattern)) this.#settling.soon();
    }
  }

  #failed(error: unknown): void {
    const { patternRegistrations: rows } = this.#host;
    const { logger } = this.#host.platform;
    logger.warn("a pattern was not registered", { error: String(error) });
    this.#current = undefined;
    try {
      const row = rows.get(this.#pattern);
      if (row !== undefined) rows.set(this.#pattern, { ...row, unsettled: true });
    } catch (cause) {
      logger.warn("a registration cannot be noted", { error: String(cause) });
    }
  }

  async #unregister(): Promise<void> {
    const { calls, gateway, patternRegistrations: rows, platform } = this.#host;
    const pattern = this.#pattern;
    const row = rows.get(pattern);
    if (row === undefined) return;
    const end = { gateway, version: row.version, pattern };
    const unregister = (name: string): Promise<void> =>
      retrying(
        () => unsubscribeFrom(calls.index(name), end),
        toIndex(platform, this.#host.indexTrouble),
      );
    try {
      await Promise.all(indexesOf(pattern).map(unregister));
    } catch (error) {
      // The row is left for the next sweep.
      platform.logger.warn("the end of a pattern was not told", { error: String(error) });
      return;
    }
    if (this.#open === 0 && rows.get(pattern)?.version === row.version) rows.delete(pattern);
  }
}

interface Attempt {
  version: number | undefined;
  /** What it asked for. Both are undefined until it has been sent. */
  presence: boolean | undefined;
  registered: boolean;
  /** The indexes' time, Unix milliseconds. */
  readonly outcome: Promise<number>;
}
