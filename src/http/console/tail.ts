/** The live tail of a channel or pattern, by the SDK: it recovers what it misses while its connection is away. */
import type { Gap } from "../../client/core/message.ts";
import { createClient } from "../../client/dial.ts";
import { eventStream } from "../../client/stream/index.ts";
import type { Codec, Frame, OutboundFrame } from "../../client/wire/frames.ts";
import { json } from "../../client/wire/json.ts";
import type { ShownMessage } from "./shown-message.ts";

/**
 * Messages as they came, beside what the SDK makes of them: it parses data that claims to be JSON, and numbers lose digits
 * on the way.
 */
class AsTheyCame implements Codec {
  readonly subprotocol = json.subprotocol;
  readonly #frames = new Map<string, ShownMessage>();

  encode(frame: Parameters<Codec["encode"]>[0]): Frame {
    return json.encode(frame);
  }

  decode(frame: Frame): OutboundFrame {
    const decoded = json.decode(frame);
    for (const message of decoded.publication?.messages ?? []) {
      if (this.#frames.size >= MOST_HELD) this.#frames.clear();
      this.#frames.set(nameOf(message), message);
    }
    return decoded;
  }

  take(message: ShownMessage): ShownMessage | undefined {
    const name = nameOf(message);
    const found = this.#frames.get(name);
    this.#frames.delete(name);
    return found;
  }
}

/** Messages that may wait to be taken. */
const MOST_HELD = 1_000;

function nameOf({ channel, id }: Pick<ShownMessage, "channel" | "id">): string {
  return `${channel ?? ""} ${id ?? ""}`;
}

export interface TailEvents {
  message(message: ShownMessage): void;
  gap(gap: Gap): void;
  /** How the tail stands: `subscribed`, or why not. */
  state(state: "connecting" | "subscribed" | "refused", problem: string): void;
}

/** @returns ends it */
export function openTail(key: string, name: string, events: TailEvents): () => void {
  const codec = new AsTheyCame();
  const client = createClient(new URL("ws", location.href).href, {
    transport: eventStream({ key }),
    encoding: codec,
    clientType: "console",
    queue: false,
    onError: () => {},
  });
  let problem = "";
  const subscription = client.subscribe(name, {
    onMessage: ({ channel, id }) => {
      const message = codec.take({ channel, id });
      if (message !== undefined) events.message(message);
    },
  });
  subscription.addEventListener("gap", ({ detail }) => events.gap(detail));
  subscription.addEventListener("statechange", ({ detail: { state, error } }) => {
    problem = error?.message ?? problem;
    if (state === "subscribed") events.state("subscribed", "");
    else if (state === "refused") events.state("refused", problem);
    else events.state("connecting", problem);
  });
  client.addEventListener("statechange", ({ detail: { state, error } }) => {
    if (state === "closed") events.state("refused", error?.message ?? "the server has ended it");
    else if (state !== "connected") events.state("connecting", error?.message ?? "");
  });
  return () => {
    client.close().catch(() => {});
  };
}
