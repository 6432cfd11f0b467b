/** What stands between the engine and a backend that is called over a network, whichever way it is. */
import { made } from "../../channels/maps.ts";
import type { Cancellation } from "../../engine/ports/backends.ts";
import type { SpanAttributes } from "../../engine/ports/tracing.ts";
import type { BackendConfig } from "../backend-config.ts";
import type { Post } from "../http/call.ts";
import { type BackendStats, type CallLane, type LaneStats, laneOf } from "./counts.ts";
import { type CallPlatform, Lane, type LaneCall } from "./lane.ts";

/** Statuses of a proxy before a backend that is not there. */
const GATEWAY_STATUSES: ReadonlySet<number> = new Set([502, 503, 504]);

export class BackendGuard {
  readonly #config: BackendConfig;
  readonly #platform: CallPlatform;
  /** What spans of calls say of the backend. */
  readonly #attributes: SpanAttributes;
  /** Made for the first call: most backends have one kind of them. */
  readonly #lanes = new Map<CallLane, Lane>();

  constructor(config: BackendConfig, platform: CallPlatform) {
    this.#config = config;
    this.#platform = platform;
    this.#attributes = attributesOf(config);
  }

  /**
   * Runs a call within the bounds of the backend.
   *
   * @param hook what the backend is asked, such as `rpc`
   * @throws BackendFailure, or what the call fails with
   */
  run<T>(
    hook: string,
    cancellation: Cancellation,
    call: Omit<LaneCall<T>, "repeatable">,
  ): Promise<T> {
    const lane = laneOf(hook);
    cancellation.span?.set(this.#attributes);
    return this.#lane(lane).run({ ...call, repeatable: lane === "access" }, cancellation);
  }

  stats(): BackendStats {
    const lanes: Partial<Record<CallLane, LaneStats>> = {};
    for (const [name, lane] of this.#lanes) lanes[name] = lane.stats();
    return { name: this.#config.name, lanes };
  }

  /** RPCs are one for themselves: a client that has many of them under way keeps no client from being authenticated. */
  #lane(name: CallLane): Lane {
    return made(this.#lanes, name, () => new Lane(name, this.#config, this.#platform));
  }
}

function attributesOf({ name, kind, url, binding }: BackendConfig): SpanAttributes {
  const backend = { "messageloop.backend.name": name, "messageloop.backend.kind": kind };
  if (binding !== undefined) return { ...backend, "messageloop.backend.binding": binding };
  const host = /^https?:\/\/(\[[^\]]*\]|[^/:?]*)/i.exec(url)?.[1] ?? "";
  return { ...backend, "server.address": host };
}

/** Requests over HTTP within the bounds of a backend. `send` sends one, and need not look at the time. */
export function guarded(guard: BackendGuard, send: Post): Post {
  return (request, cancellation, timeoutMs) =>
    guard.run(request.hook, cancellation, {
      timeoutMs,
      ask: (inner, leftMs) => send(request, inner, leftMs),
      isFailing: ({ status }) => GATEWAY_STATUSES.has(status),
    });
}
