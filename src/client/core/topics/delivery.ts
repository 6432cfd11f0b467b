/**
 * The way of messages to what they are for. Methods of a class, and no functions of each client's own: an engine compiles them once
 * for all clients, and keeps that when some of these are gone.
 */
import type { WireGap, WireMessage, WirePublication } from "../../wire/frames.ts";
import type { ReceivedMessage } from "../message.ts";
import { stands } from "../patterns.ts";
import type { Topic } from "./topic.ts";

export interface DeliveryTerms {
  /** All that a client is subscribed to, by their names. */
  readonly topics: ReadonlyMap<string, Topic>;
  /** A message as applications see it; undefined where they cannot, which has been reported. */
  readonly received: (message: WireMessage) => ReceivedMessage | undefined;
  /** Takes a report of what is missing. */
  readonly missed: (topics: readonly Topic[], gap: WireGap) => void;
  /** Is given what belongs to no subscription of the application. */
  readonly stray: (message: ReceivedMessage) => void;
}

/** Channels whose topics are remembered. */
const MOST_ROUTES = 5_000;

export class Delivery {
  /** Of which subscription the frame is, where it is of one alone. */
  only = "";
  readonly #terms: DeliveryTerms;
  /** The topics of each channel that was heard, until any of them changes. */
  readonly #routes = new Map<string, readonly Topic[]>();

  constructor(terms: DeliveryTerms) {
    this.#terms = terms;
  }

  /** There are other topics now. */
  clear(): void {
    this.#routes.clear();
  }

  published({ messages = [] }: WirePublication): void {
    for (const message of messages) this.#deliver(message);
  }

  /** The topics that a channel's messages are for. */
  route(channel = ""): readonly Topic[] {
    const { topics } = this.#terms;
    const routes = this.#routes;
    let concerned = routes.get(channel);
    if (!concerned) {
      concerned = [...topics.values()].filter(({ name }) => stands(name, channel));
      if (routes.size >= MOST_ROUTES) routes.clear();
      routes.set(channel, concerned);
    }
    const own = topics.get(this.only);
    return own && concerned.includes(own) ? [own] : concerned;
  }

  #deliver(message: WireMessage): void {
    const { received: read, missed, stray } = this.#terms;
    const concerned = this.route(message.channel);
    let received: ReceivedMessage | undefined;
    /** Whether it is for nobody but the client itself. */
    let isStray = !concerned.length;
    for (const topic of concerned) {
      const accepted = topic.accept(message);
      if (accepted === false) continue;
      if (accepted !== true) missed([topic], accepted);
      received ??= read(message);
      if (!received) return;
      isStray ||= !topic.handles.size;
      for (const handle of topic.handles) handle.deliver(received);
    }
    if (!isStray) return;
    received ??= read(message);
    if (received) stray(received);
  }
}
