/**
 * The objects that one thread has: channels, pattern indexes, users, and the counters of its channels. They are in its
 * memory, and end with it.
 */
import { encodeUserChange } from "../../objects/calls/directory-calls.ts";
import { StatsObject } from "../../objects/directory/stats.ts";
import { UserObject } from "../../objects/directory/user.ts";
import { PatternIndexObject } from "../../objects/pattern-index/object.ts";
import type { ObjectCalls } from "../../objects/ports/calls.ts";
import type { NearChannel } from "../../objects/ports/near-channel.ts";
import type { ObjectKind } from "../calls/methods.ts";
import { ThreadChannels, type ThreadChannelsOptions } from "./channels.ts";
import { HostedObjects } from "./hosted.ts";
import { MemoryPatternStore, MemoryReportStore, MemoryUserStore } from "./memory-stores.ts";

export interface ThreadObjectsOptions extends ThreadChannelsOptions {
  readonly calls: ObjectCalls;
  /** Of the counters of this thread. */
  readonly region: string;
}

type Answer = Uint8Array | undefined;

export class ThreadObjects {
  readonly channels: ThreadChannels;
  readonly #options: ThreadObjectsOptions;
  readonly #indexes: HostedObjects<PatternIndexObject, MemoryPatternStore>;
  readonly #users: HostedObjects<UserObject, MemoryUserStore>;
  readonly #stats: HostedObjects<StatsObject, MemoryReportStore>;
  /** Since when nothing was lost, Unix milliseconds. */
  #knownSince: number;
  /** When every gateway has registered what it wants to hear of objects that have begun; undefined afterwards. */
  #settling: PromiseWithResolvers<void> | undefined = Promise.withResolvers();

  constructor(options: ThreadObjectsOptions) {
    const { calls, platform, region } = options;
    this.#options = options;
    this.#knownSince = platform.clock.now();
    this.#indexes = new HostedObjects({
      platform,
      store: () => new MemoryPatternStore(() => this.#knownSince),
      open: (hosted) => new PatternIndexObject({ ...hosted, calls, platform }),
    });
    this.#users = new HostedObjects({
      platform,
      store: () => new MemoryUserStore(),
      open: (hosted) => new UserObject({ ...hosted, calls, platform }),
    });
    this.#stats = new HostedObjects({
      platform,
      store: () => new MemoryReportStore(),
      open: (hosted) => new StatsObject({ ...hosted, platform }),
    });
    // A channel and what is reported of it are in one thread, and end together.
    const stats = (): ReturnType<ObjectCalls["stats"]> => calls.stats(region);
    this.channels = new ThreadChannels({ ...options, calls: { ...callsOf(calls), stats } });
  }

  /** Takes messages from now on: all gateways are known that have to hear of them. */
  settle(): void {
    this.#settling?.resolve();
    this.#settling = undefined;
  }

  /** A thread has ended, and with it its gateway and those objects for which `isLost` is true. */
  threadEnded(gateway: string, isLost: (kind: ObjectKind, name: string) => boolean): void {
    this.#knownSince = this.#options.platform.clock.now();
    this.channels.indexesEnded((index) => isLost("index", index));
    this.channels.gatewayEnded(gateway);
    for (const { object } of this.#indexes.values()) object.gatewayEnded(gateway);
    const sequence = Number.MAX_SAFE_INTEGER;
    const nothing = {
      joined: [],
      left: [],
      complete: true,
      connecting: new Set<string>(),
      limit: 0,
    };
    const request = encodeUserChange({ gateway, sequence, ...nothing });
    for (const user of this.#users.values()) user.object.update(request);
  }

  /**
   * Carries out a call.
   *
   * @throws what the object throws
   */
  serve(
    kind: ObjectKind,
    method: string,
    name: string,
    body: Uint8Array,
  ): Answer | Promise<Answer> {
    switch (kind) {
      case "channel":
        return this.#channel(method, name, body);
      case "index": {
        const call = () => this.#indexes.of(name).run((object) => called(object, method, body));
        // A lease without a gateway that has yet to register would lose it what is published.
        return method === "lease" ? this.#settled(call) : call();
      }
      case "user":
        return this.#users.of(name).run((object) => called(object, method, body));
      case "stats":
        return this.#stats.of(name).run((object) => called(object, method, body));
      default:
        throw new TypeError(`there are no objects of the kind ${kind}`);
    }
  }

  /** A channel of this thread, for the gateway that is here as well. */
  near(name: string): NearChannel {
    const { channels } = this;
    const { region } = this.#options;
    return {
      publish: (publishes, registration, take) => {
        if (this.#settling !== undefined) return undefined;
        return channels.publish(name, (object) =>
          object.publishNear(publishes, region, registration, take),
        );
      },
    };
  }

  #channel(method: string, name: string, body: Uint8Array): Answer | Promise<Answer> {
    const { channels } = this;
    if (method === "publish") {
      return this.#settled(() => channels.publish(name, (object) => object.publish(body)));
    }
    const answer = channels.run(name, (object) => called(object, method, body));
    if (method === "removeHistory") channels.recount(name);
    return answer;
  }

  /** Makes a call when messages are taken. */
  #settled(call: () => Answer | Promise<Answer>): Answer | Promise<Answer> {
    return this.#settling === undefined ? call() : this.#settling.promise.then(call);
  }
}

/** What a channel calls others by, without a tie to the object that has it. */
function callsOf({ gateway, index }: ObjectCalls): Pick<ObjectCalls, "gateway" | "index"> {
  return { gateway, index };
}

type Methods = Readonly<Record<string, (request: Uint8Array) => unknown>>;

/** @param method one of the table, which has those of the stubs alone */
function called(object: object, method: string, body: Uint8Array): Answer | Promise<Answer> {
  const answer = (object as Methods)[method]?.(body);
  return answer instanceof Promise ? answer.then(bytesOf) : bytesOf(answer);
}

function bytesOf(answer: unknown): Answer {
  return answer instanceof Uint8Array ? answer : undefined;
}
