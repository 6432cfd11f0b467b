/** All channels and patterns that a client is subscribed to: it asks for them, and gives out what comes of them. */
import { MessagingError } from "../../protocol/errors.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import type {
  ConnectedFrame,
  OutboundFrame,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireGap,
  WireMessage,
} from "../wire/frames.ts";
import type { Connection } from "./connection.ts";
import { quiet } from "./emitter.ts";
import { type Gap, gapOf, memberOf, type ReceivedMessage } from "./message.ts";
import { stands } from "./patterns.ts";
import type { Clock } from "./ports.ts";
import { errorOf, retryAfterMs } from "./requests.ts";
import {
  type Handle,
  type PresenceChange,
  type SubscribeOptions,
  Subscription,
  type SubscriptionOwner,
} from "./subscription.ts";
import { Topic } from "./topic.ts";

/** What belongs to no subscription of the application, or to all. */
export interface TopicEvents {
  /** Of a channel that the server's side has subscribed this client to, or sent to the session itself. */
  message: ReceivedMessage;
  gap: Gap;
  /** The server's side has made, or ended, subscriptions. */
  subscribed: { readonly channels: readonly string[] };
  unsubscribed: { readonly channels: readonly string[] };
}

export interface TopicsTerms {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** A message as applications see it; undefined where they cannot, which has been reported. */
  readonly received: (message: WireMessage) => ReceivedMessage | undefined;
  readonly emit: <Type extends keyof TopicEvents>(type: Type, detail: TopicEvents[Type]) => void;
  readonly failed: (error: unknown) => void;
}

/** One request, and what it asks for. */
type Asked = readonly (readonly [Topic<Handle>, SubscriptionRequest])[];

/** How often a pattern tells the server that it is up to date, in milliseconds. */
const RENEWAL_MS = 5 * 60_000;
/** Channels whose topics are remembered. */
const MOST_ROUTES = 5_000;
/** The first and the longest pause before a subscription is asked for again that has failed for now, in milliseconds. */
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 20_000;
const USUAL_MESSAGE_BYTES = 65_536;

export class Topics implements SubscriptionOwner {
  readonly #terms: TopicsTerms;
  readonly #connection: Connection;
  readonly #topics = new Map<string, Topic<Handle>>();
  /** The topics of each channel that was heard, until any of them changes. */
  readonly #routes = new Map<string, readonly Topic<Handle>[]>();
  /** Counts connects. What was asked before the last one is over. */
  #session = 0;
  #asked: Asked = [];
  #stopRenewal = (): void => {};

  constructor(terms: TopicsTerms) {
    this.#terms = terms;
    this.#connection = terms.connection;
  }

  /** @throws MessagingError BAD_REQUEST when the channel is subscribed to in another way */
  subscribe<T>(name: string, options: SubscribeOptions<T>): Subscription<T> {
    const { onMessage, signal, ...terms } = options;
    let topic = this.#topics.get(name);
    const differs = topic !== undefined && JSON.stringify(topic.options) !== JSON.stringify(terms);
    if (differs && topic?.handles.size) {
      throw new MessagingError("BAD_REQUEST", `${name} is subscribed to with other options`);
    }
    const isNew = topic === undefined || differs;
    if (topic === undefined || differs) {
      topic = new Topic(name, terms);
      this.#topics.set(name, topic);
      this.#routes.clear();
    }
    const subscription = new Subscription<T>(topic, this, onMessage);
    topic.handles.add(subscription);
    if (isNew) this.#askRest();
    else if (topic.live) subscription.enter("subscribed");
    else if (topic.refused) subscription.enter("refused", topic.refused.error);
    const end = (): void => {
      this.end(subscription).catch(() => {});
    };
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end);
    return subscription;
  }

  end(subscription: Handle): Promise<void> {
    const { topic } = subscription;
    const { name } = topic;
    subscription.enter("ended");
    if (!topic.handles.delete(subscription) || topic.handles.size > 0) return Promise.resolve();
    if (this.#topics.get(name) !== topic) return Promise.resolve();
    this.#forget(topic);
    if (this.#connection.state !== "connected") return Promise.resolve();
    return this.#request(
      { unsubscribe: { subscriptions: [{ channel: name }] } },
      "unsubscribe_ack",
      () => {},
    );
  }

  setToken({ topic }: Handle, token: string): Promise<void> {
    topic.options = { ...topic.options, token };
    if (topic.refused !== undefined) {
      topic.refused = undefined;
      topic.asked = 0;
      this.#askRest();
    }
    if (!topic.live) return Promise.resolve();
    const frame = { sub_refresh: { channels: [topic.name], tokens: { [topic.name]: token } } };
    return this.#request(frame, "sub_refresh_ack", ([answer]) => {
      const { error } = answer?.subscriptions?.[0] ?? {};
      if (error !== undefined) throw errorOf(error);
    });
  }

  failed(error: unknown): void {
    this.#terms.failed(error);
  }

  /** What a connect asks for; what it has no room for is asked for after it. */
  requests(room: number): readonly SubscriptionRequest[] {
    this.#session += 1;
    this.#asked = this.#wanted(room);
    return this.#asked.map(([, request]) => request);
  }

  connected({ subscriptions = [] }: ConnectedFrame): void {
    const own = this.#answers(this.#asked, subscriptions);
    const others = subscriptions.filter(({ channel = "", error }) => !own.has(channel) && !error);
    if (others.length > 0) this.#subscribed(others);
    this.#askRest();
    this.#renewLater();
  }

  frame(frame: OutboundFrame): void {
    const { publication, gap, recovered, presence_event: change, presence } = frame;
    if (publication !== undefined) {
      for (const message of publication.messages ?? []) this.#deliver(message);
    } else if (gap !== undefined) this.#gap(this.#concerned(gap.channel), gap);
    else if (recovered !== undefined) this.#recovered(recovered);
    else if (change !== undefined) {
      const kind = change.join === undefined ? "leave" : "join";
      const member = memberOf(change.join ?? change.leave ?? {});
      this.#presence({ channel: change.channel ?? "", kind, member });
    } else if (presence !== undefined) {
      const members = (presence.members ?? []).map(memberOf);
      this.#presence({ channel: presence.channel ?? "", kind: "members", members });
    } else if (frame.subscribed !== undefined) {
      this.#subscribed(frame.subscribed.subscriptions ?? []);
    } else if (frame.unsubscribed !== undefined) {
      this.#unsubscribed(frame.unsubscribed.subscriptions ?? []);
    }
  }

  /** Another token is in use: what was refused may be allowed now. */
  refreshed(): void {
    this.#askRest();
  }

  /** @param error why no connection will come any more; undefined where one will */
  lost(error: MessagingError | undefined): void {
    this.#session += 1;
    this.#stopRenewal();
    for (const topic of this.#topics.values()) {
      topic.live = false;
      topic.recovering = false;
      topic.stopRetry();
      for (const handle of topic.handles) {
        if (error !== undefined) handle.enter("ended", error);
        else if (topic.refused === undefined) handle.enter("subscribing");
      }
    }
  }

  /** What is to be asked for and was not in this session, in at most so many bytes; one at least where any is. */
  #wanted(room: number): Asked {
    const asked: (readonly [Topic<Handle>, SubscriptionRequest])[] = [];
    let left = room;
    for (const topic of this.#topics.values()) {
      if (topic.live || topic.asked === this.#session) continue;
      if (topic.refused?.token === this.#connection.token) continue;
      const request = topic.request(room / 2);
      left -= utf8Length(JSON.stringify(request));
      if (left < 0 && asked.length > 0) break;
      topic.asked = this.#session;
      asked.push([topic, request]);
    }
    return asked;
  }

  #askRest(): void {
    while (this.#connection.state === "connected") {
      const asked = this.#wanted((this.#connection.maxMessageBytes || USUAL_MESSAGE_BYTES) - 1024);
      if (asked.length === 0) return;
      this.#ask(asked);
    }
  }

  #ask(asked: Asked): void {
    const session = this.#session;
    const subscriptions = asked.map(([, request]) => request);
    this.#request({ subscribe: { subscriptions } }, "subscribe_ack", ([answer]) => {
      this.#answers(asked, answer?.subscriptions ?? []);
    }).catch((error: unknown) => {
      if (session !== this.#session) return;
      for (const [topic] of asked) this.#refuse(topic, MessagingError.from(error));
    });
  }

  /** @returns the names that were asked for */
  #answers(asked: Asked, answers: readonly SubscriptionAnswer[]): ReadonlySet<string> {
    const byName = new Map(answers.map((answer) => [answer.channel ?? "", answer]));
    for (const [topic, request] of asked) {
      const answer = byName.get(topic.name);
      // Meanwhile the application may have ended it.
      if (this.#topics.get(topic.name) !== topic) continue;
      if (answer === undefined) topic.asked = 0;
      else if (answer.error !== undefined) this.#refuse(topic, errorOf(answer.error));
      else this.#grant(topic, answer, request);
    }
    return new Set(asked.map(([{ name }]) => name));
  }

  #grant(
    topic: Topic<Handle>,
    { position }: SubscriptionAnswer,
    request: SubscriptionRequest,
  ): void {
    topic.granted(position, request);
    for (const handle of topic.handles) handle.enter("subscribed");
  }

  #refuse(topic: Topic<Handle>, error: MessagingError): void {
    if (this.#topics.get(topic.name) !== topic || topic.live) return;
    if (error.retry) {
      const bound = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** topic.retries++);
      const session = this.#session;
      const { clock } = this.#terms;
      topic.stopRetry = clock.after(Math.max(retryAfterMs(error), bound * clock.random()), () => {
        if (session !== this.#session) return;
        topic.asked = 0;
        this.#askRest();
      });
      return;
    }
    topic.refused = { error, token: this.#connection.token };
    // What nobody of this application has asked for.
    if (topic.handles.size === 0) this.#forget(topic);
    for (const handle of topic.handles) handle.enter("refused", error);
  }

  #subscribed(answers: readonly SubscriptionAnswer[]): void {
    for (const answer of answers) {
      const { channel = "" } = answer;
      let topic = this.#topics.get(channel);
      if (topic === undefined) {
        topic = new Topic(channel, {});
        this.#topics.set(channel, topic);
        this.#routes.clear();
      }
      topic.asked = this.#session;
      this.#grant(topic, answer, { channel });
    }
    this.#terms.emit("subscribed", { channels: answers.map(({ channel = "" }) => channel) });
  }

  #unsubscribed(answers: readonly SubscriptionAnswer[]): void {
    const channels = answers.map(({ channel = "" }) => channel);
    for (const channel of channels) {
      const topic = this.#topics.get(channel);
      if (topic === undefined) continue;
      this.#forget(topic);
      const error = new MessagingError("ACL_ERROR", "the server has ended the subscription");
      for (const handle of topic.handles) handle.enter("ended", error);
    }
    this.#terms.emit("unsubscribed", { channels });
  }

  #forget(topic: Topic<Handle>): void {
    topic.live = false;
    topic.stopRetry();
    this.#topics.delete(topic.name);
    this.#routes.clear();
  }

  #deliver(message: WireMessage): void {
    const { channel = "" } = message;
    const topics = this.#route(channel);
    let received: ReceivedMessage | undefined;
    /** Whether it is for nobody but the client itself. */
    let isStray = topics.length === 0;
    for (const topic of topics) {
      if (!topic.live) continue;
      const accepted = topic.accept(message);
      if (accepted === false) continue;
      if (accepted !== true) this.#gap([topic], accepted);
      received ??= this.#terms.received(message);
      if (received === undefined) return;
      isStray ||= topic.handles.size === 0;
      for (const handle of topic.handles) handle.deliver(received);
    }
    if (!isStray) return;
    received ??= this.#terms.received(message);
    if (received !== undefined) this.#terms.emit("message", received);
  }

  #gap(topics: readonly Topic<Handle>[], gap: WireGap): void {
    const told = gapOf(gap);
    for (const topic of topics) {
      topic.passed(gap);
      for (const handle of topic.handles) handle.emit("gap", told);
    }
    this.#terms.emit("gap", told);
  }

  #recovered({ channel = "", position, gap }: NonNullable<OutboundFrame["recovered"]>): void {
    const topics = this.#concerned(channel);
    for (const topic of topics) topic.recovered(channel, position);
    if (gap !== undefined) this.#gap(topics, { channel, ...gap });
    for (const { handles } of topics) {
      for (const handle of handles) handle.emit("recovered", { channel });
    }
  }

  #presence(change: PresenceChange): void {
    for (const { handles } of this.#route(change.channel)) {
      for (const handle of handles) handle.emit("presence", change);
    }
  }

  /** The topics that something is about which names a channel or a pattern. */
  #concerned(name = ""): readonly Topic<Handle>[] {
    const own = this.#topics.get(name);
    return own?.isPattern ? [own] : this.#route(name);
  }

  #route(channel: string): readonly Topic<Handle>[] {
    let topics = this.#routes.get(channel);
    if (topics === undefined) {
      topics = [...this.#topics.values()].filter((topic) =>
        topic.isPattern ? stands(topic.name, channel) : topic.name === channel,
      );
      if (this.#routes.size >= MOST_ROUTES) this.#routes.clear();
      this.#routes.set(channel, topics);
    }
    return topics;
  }

  #renewLater(): void {
    this.#stopRenewal = this.#terms.clock.after(RENEWAL_MS, () => {
      const renewed = [...this.#topics.values()].filter(
        ({ isPattern, live, recovering }) => isPattern && live && !recovering,
      );
      const subscriptions = renewed.map((topic) => topic.renewal());
      this.#renewLater();
      if (renewed.length === 0) return;
      this.#request({ subscribe: { subscriptions } }, "subscribe_ack", ([answer]) => {
        for (const [i, topic] of renewed.entries()) {
          const one = answer?.subscriptions?.[i];
          // What is refused now goes on as it is.
          if (topic.live && one !== undefined && !one.error)
            topic.granted(one.position, topic.renewal());
        }
      }).catch(() => {});
    });
  }

  #request<Kind extends "subscribe_ack" | "unsubscribe_ack" | "sub_refresh_ack">(
    frame: Parameters<Connection["request"]>[0],
    kind: Kind,
    take: (answers: NonNullable<OutboundFrame[Kind]>[]) => void,
  ): Promise<void> {
    const { requestTimeoutMs: timeoutMs } = this.#terms;
    return quiet(this.#connection.request(frame, { kind, take, timeoutMs }));
  }
}
