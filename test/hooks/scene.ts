/** Hooks over an outbox in memory, with time and backends in the test's hand. */
import { createHmac } from "node:crypto";
import type { LifecycleEvent, LifecycleKind } from "../../src/engine/ports/lifecycle.ts";
import { LIFECYCLE_KINDS } from "../../src/engine/ports/lifecycle.ts";
import type { HookBackend } from "../../src/hooks/courier.ts";
import { Hooks } from "../../src/hooks/hooks.ts";
import { MemoryOutbox } from "../../src/hooks/memory-outbox.ts";
import type { Outbox } from "../../src/hooks/outbox.ts";
import { httpTeller, type TellerTerms } from "../../src/hooks/tellers.ts";
import type { BackendRequest, BackendResponse, Post } from "../../src/proxy/http/call.ts";
import { Time } from "../objects/time.ts";

/** What a backend answers: a status, an exception, or nothing until the test says so. */
export type Answer = number | Error | Promise<number>;

/** A backend that keeps what it was sent. */
export class ScriptedBackend {
  readonly requests: BackendRequest[] = [];
  /** What it has taken, as texts. */
  readonly taken: string[] = [];
  /** Requests that are under way, and the most that were. */
  open = 0;
  mostOpen = 0;
  answer: (request: BackendRequest) => Answer = () => 200;

  readonly post: Post = async (request): Promise<BackendResponse> => {
    this.requests.push(request);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    try {
      const answer = this.answer(request);
      if (answer instanceof Error) throw answer;
      const status = await answer;
      const readable = request.contentType.endsWith("json");
      if (status >= 200 && status < 300 && readable) this.taken.push(...linesOf(request));
      return { status, contentType: "", body: new Uint8Array() };
    } finally {
      this.open -= 1;
    }
  };
}

export function jsonOf({ body }: BackendRequest): unknown {
  return JSON.parse(new TextDecoder().decode(body));
}

/** The events of a request, each as its method and what it is about. */
export function linesOf(request: BackendRequest): string[] {
  const value = jsonOf(request);
  const hook = request.headers["messageloop-hook"] ?? "";
  if (Array.isArray(value)) return value.map((event) => lineOf(event.type.slice(16), event.data));
  return [lineOf(hook, value as Record<string, unknown>)];
}

function lineOf(hook: string, data: Record<string, unknown>): string {
  const { session_id: session, channel } = data;
  const kind = hook.slice("on_".length);
  return channel === undefined ? `${session} ${kind}` : `${session} ${kind} ${channel}`;
}

let ids = 0;
export function event(
  sessionId: string,
  kind: LifecycleKind,
  more: Partial<LifecycleEvent> = {},
): LifecycleEvent {
  ids += 1;
  const channel = kind === "subscribed" || kind === "unsubscribed" ? "a" : "";
  return {
    id: `event-${ids}`,
    kind,
    time: 1_700_000_000_000,
    sessionId,
    userId: "ada",
    clientId: "phone",
    clientType: "web",
    channel,
    code: kind === "disconnected" ? 1000 : 0,
    reason: "",
    sequence: 0,
    ...more,
  };
}

/** How a backend over HTTP is told. */
export type Form = "json" | "v0.1.1" | "cloudevents" | "cloudevents in batches";

export function termsOf(
  form: Form,
  signingSecrets: readonly Uint8Array[] = [],
  timeoutMs = 5_000,
): TellerTerms {
  const batchEvents = form === "cloudevents in batches";
  return {
    kind: "http",
    payload: batchEvents ? "cloudevents" : form,
    batchEvents,
    encoding: "proto",
    signingSecrets,
    timeouts: { events: timeoutMs },
  };
}

export interface HooksSceneOptions {
  readonly form?: Form;
  readonly secrets?: readonly Uint8Array[];
  readonly takes?: HookBackend["takes"];
  readonly outbox?: Outbox;
  readonly others?: readonly HookBackend[];
}

export const hmac = (secret: Uint8Array, message: Uint8Array): Uint8Array =>
  createHmac("sha256", secret).update(message).digest();

export function hooksScene({
  form = "json",
  secrets = [],
  takes = () => true,
  outbox = new MemoryOutbox(),
  others = [],
}: HooksSceneOptions = {}) {
  const time = new Time();
  const backend = new ScriptedBackend();
  const warnings: string[] = [];
  let uuids = 0;
  const hooks = new Hooks({
    kinds: new Set(LIFECYCLE_KINDS),
    backends: [
      ...others,
      {
        name: "backend",
        takes,
        ...httpTeller(termsOf(form, secrets), backend.post, { hmac, clock: time }),
      },
    ],
    outbox,
    clock: time,
    timers: time,
    random: {
      uuid: () => {
        uuids += 1;
        return `uuid-${uuids}`;
      },
    },
    logger: { warn: (message) => warnings.push(message) },
    chance: () => 0,
  });
  /** What is kept in memory is kept at once. */
  const tell = (events: readonly LifecycleEvent[]): void => {
    if (hooks.record(events) !== undefined) throw new Error("it is not kept yet");
  };
  return { backend, hooks, outbox, tell, time, warnings };
}
