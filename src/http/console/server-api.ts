/** The server API, as the console asks it: POST with JSON, the key in a header and nowhere else. */

import type { Position, WireGap, WireMember } from "../../client/wire/frames.ts";
import { json } from "../../client/wire/json.ts";
import type { ShownMessage } from "./shown-message.ts";

export type Right = "publish" | "read" | "manage" | "trace" | "trace-payloads";

export interface Status {
  readonly key: {
    readonly id: string;
    readonly rights?: readonly Right[];
    readonly patterns?: readonly string[];
    readonly expires?: string;
  };
  readonly host: string;
  readonly version: string;
  readonly nodes?: readonly NodeStatus[];
  readonly as_of: string;
}

/** Integers of 64 bits come as texts, and what is 0 is left out. */
export type NodeStatus = {
  readonly name: string;
  readonly gaps?: Readonly<Record<string, string>>;
  /** Left out of a process that has one. */
  readonly thread?: number;
  /** Of a gateway. */
  readonly region?: string;
} & {
  readonly [name in Counted]?: string | number;
};
export type Counted =
  | "uptime_ms"
  | "connections"
  | "sessions"
  | "subscriptions"
  | "channels"
  | "patterns"
  | "memory_bytes"
  | "lag_us"
  | "lag_samples"
  | "publications"
  | "deliveries"
  | "received_bytes"
  | "sent_bytes"
  | "slow_consumers"
  | "internal_errors"
  | "busy"
  | "own_channels"
  | "deaths"
  | "reported";

export interface RegionStatus {
  readonly region: string;
  readonly ready?: boolean;
  readonly as_of?: string;
  readonly gateways?: number;
  readonly sessions?: string;
}

/** A gap or slow consumers, in one channel within a while. */
export interface Incident {
  readonly kind: string;
  readonly channel?: string;
  readonly reason?: string;
  readonly began: string;
  readonly at: string;
  readonly count: number;
  readonly session_id?: string;
  readonly node: string;
}

export interface NodesPage {
  readonly nodes?: readonly NodeStatus[];
  readonly regions?: readonly RegionStatus[];
  readonly incidents?: readonly Incident[];
  /** Nothing is known of gateways. */
  readonly unreported?: boolean;
  readonly as_of: string;
}

export interface Setting {
  readonly path: string;
  readonly value?: string;
  readonly source: string;
  readonly origin?: string;
  readonly secret?: boolean;
}

export interface Explanation {
  readonly allowed?: boolean;
  readonly reasons?: readonly string[];
}

export interface Channel {
  readonly channel: string;
  readonly members?: number;
  readonly position?: Position;
}

export interface ChannelPage {
  readonly channels?: readonly Channel[];
  readonly cursor?: string;
  readonly as_of: string;
}

export interface HistoryPage {
  readonly messages?: readonly ShownMessage[];
  readonly position?: Position;
  readonly gap?: WireGap;
  readonly more?: boolean;
}

export interface PresencePage {
  readonly members?: readonly WireMember[];
  readonly total?: number;
}

export interface UserSessions {
  readonly sessions?: readonly { readonly session_id: string; readonly since: string }[];
}

export interface TracedFrame {
  readonly time?: number;
  readonly session_id?: string;
  readonly user_id?: string;
  readonly client_id?: string;
  /** Whether the client has sent it. */
  readonly inbound?: boolean;
  /** Left out of a frame that could not be read. */
  readonly kind?: string;
  readonly id?: string;
  readonly channel?: string;
  readonly bytes?: number;
  readonly outcome?: string;
  /** The frame as JSON, where events were asked for and it carries one. */
  readonly payload?: string;
}

/** What each method answers with. */
interface Answers {
  readonly Status: Status;
  readonly Nodes: NodesPage;
  readonly Settings: { readonly settings?: readonly Setting[] };
  readonly Explain: Explanation;
  readonly Channels: ChannelPage;
  readonly History: HistoryPage;
  readonly Presence: PresencePage;
  readonly Sessions: UserSessions;
  readonly Publish: {
    readonly results?: readonly {
      readonly error?: Failure;
      readonly destinations?: readonly {
        readonly position?: { readonly epoch: string; readonly offset?: number };
        readonly error?: Failure;
      }[];
    }[];
  };
  readonly Disconnect: {
    readonly results?: Readonly<Record<string, boolean>>;
    readonly users?: Readonly<Record<string, number>>;
    readonly session_errors?: Readonly<Record<string, Failure>>;
    readonly user_errors?: Readonly<Record<string, Failure>>;
  };
  readonly Trace: {
    readonly trace_id: string;
    readonly frames?: readonly TracedFrame[];
    readonly left_out?: string;
    readonly ended?: boolean;
    /** Nodes that have not answered. */
    readonly unreached?: readonly string[];
  };
  readonly RemoveHistory: Readonly<Record<string, never>>;
}

interface Failure {
  readonly code?: string;
  readonly message?: string;
}

/** A call that was refused, or did not come to an answer. */
export class ApiFailure extends Error {
  /** Of Connect, such as `unauthenticated`; `unreachable` where no answer came. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export class ServerApi {
  readonly key: string;

  constructor(key: string) {
    this.key = key;
  }

  /** @throws ApiFailure */
  async call<M extends keyof Answers>(
    method: M,
    request: object,
    signal?: AbortSignal,
  ): Promise<Answers[M]> {
    const { status, text } = await this.#post(method, request, signal);
    if (status === 200) return json.decode(text) as Answers[M];
    let failure: Failure = {};
    try {
      failure = JSON.parse(text) as Failure;
    } catch {
      // Of a proxy.
    }
    throw new ApiFailure(failure.code ?? `HTTP ${status}`, failure.message ?? `HTTP ${status}`);
  }

  async #post(method: string, request: object, signal: AbortSignal | undefined) {
    try {
      const answer = await fetch(`messageloop.server.v1.APIService/${method}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.key}` },
        body: JSON.stringify(request),
        credentials: "omit",
        redirect: "error",
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: answer.status, text: await answer.text() };
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new ApiFailure("unreachable", "the server cannot be reached", { cause });
    }
  }
}

/** What to show of a failure of any kind. */
export function failureText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
