/** The connection of a node: named before it is open, and with a note of whether Redis is there. */
import type { Clock } from "../../../engine/ports/platform.ts";
import {
  type RedisArgument,
  type RedisCommands,
  type RedisConnection,
  RedisFailure,
  type RedisReply,
  type RedisScript,
} from "../ports.ts";
import type { Listening } from "../topic-subscriptions.ts";
import type { Outage } from "./retry.ts";

export interface LinkHost {
  readonly clock: Clock;
  /** Redis is not there, or is not the one to write to. */
  failed(cause: string): void;
  /** Redis has answered for the first time after that. */
  back(): void;
}

export class RedisLink implements Pick<RedisCommands, "command" | "run"> {
  readonly outage: Outage = { since: undefined };
  /** The connection once it is open. Until then every call rejects. */
  opened: RedisConnection | undefined;
  readonly #host: LinkHost;

  constructor(host: LinkHost) {
    this.#host = host;
  }

  /** Names in Pub/Sub. */
  readonly topics: Listening = {
    subscribe: async (names) => await this.#connection.subscriptions.subscribe(names),
    unsubscribe: (names) => this.opened?.subscriptions.unsubscribe(names),
  };

  /** The same by globs. */
  readonly globs: Listening = {
    subscribe: async (globs) => await this.#connection.subscriptions.subscribeGlobs(globs),
    unsubscribe: (globs) => this.opened?.subscriptions.unsubscribeGlobs(globs),
  };

  async command(key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    try {
      return this.#worked(await this.#connection.commands.command(key, args));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<RedisReply> {
    try {
      return this.#worked(await this.#connection.commands.run(script, keys, args));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Asks all that a node needs whether it is there.
   *
   * @param key routes the question where the commands know no better one
   * @throws RedisFailure
   */
  async ping(key: string): Promise<void> {
    const { commands, subscriptions } = this.#connection;
    const answered = commands.probe?.() ?? commands.command(key, ["PING"]);
    await Promise.all([answered, subscriptions.ping?.()]);
  }

  get #connection(): RedisConnection {
    if (this.opened !== undefined) return this.opened;
    throw new RedisFailure("offline", "the server has not started");
  }

  #worked(reply: RedisReply): RedisReply {
    if (this.outage.since !== undefined) {
      this.outage.since = undefined;
      this.#host.back();
    }
    return reply;
  }

  #failed(error: unknown): unknown {
    if (!(error instanceof RedisFailure)) return error;
    const offline = error.kind === "offline";
    if (offline) this.outage.since ??= this.#host.clock.now();
    if (offline || error.message.startsWith("READONLY")) this.#host.failed(error.message);
    return error;
  }
}
