/** All channels and patterns that a client is subscribed to: it asks for them, and gives out what comes of them. */
import { MessagingError } from "../../../protocol/errors.ts";
import type {
  ConnectedFrame,
  InboundFrame,
  OutboundFrame,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireGap,
  WireMessage,
  WirePublication,
} from "../../wire/frames.ts";
import { utf8Length } from "../../wire/sizes.ts";
import type { Connection } from "../connection.ts";
import { whenAborted } from "../emitter.ts";
import { type Gap, gapOf, memberOf, type ReceivedMessage } from "../message.ts";
import { stands } from "../patterns.ts";
import type { Clock } from "../ports.ts";
import { errorOf, retryAfterMs } from "../requests.ts";
import {
  type Handle,
  type SubscribeOptions,
  Subscription,
  type SubscriptionEvents,
  type SubscriptionOwner,
} from "../subscription.ts";
import { longestDelay, timerOf } from "../timer.ts";
import { Topic, type TopicOptions } from "./topic.ts";

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

export interface Topics {
  /** @throws MessagingError BAD_REQUEST when the channel is subscribed to in another way */
  subscribe<T>(name: string, options: SubscribeOptions<T>): Subscription<T>;
  /** What a connect asks for; what it has no room for is asked for after it. */
  requests(room: number): readonly SubscriptionRequest[];
  connected(frame: ConnectedFrame): void;
  /** Another token is in use: what was refused may be allowed now. */
  refreshed(): void;
  /** @param error why no connection will come any more; undefined where one will */
  lost(error: MessagingError | undefined): void;
  /** What is done with each kind of frame. */
  readonly handlers: FrameHandlers;
}

/** What is done with the members of a frame. */
export type FrameHandlers = {
  readonly [Kind in keyof OutboundFrame]?: (member: NonNullable<OutboundFrame[Kind]>) => void;
};

/** One request, and what it asks for. */
type Asked = readonly (readonly [Topic<Handle>, SubscriptionRequest])[];

/** How often a pattern tells the server that it is up to date, in milliseconds. */
const RENEWAL_MS = 5 * 60_000;
/** Channels whose topics are remembered. */
const MOST_ROUTES = 5_000;

export function topicsOf(terms: TopicsTerms): Topics {
  const { connection, clock, requestTimeoutMs: timeoutMs, emit } = terms;
  const topics = new Map<string, Topic<Handle>>();
  /** The topics of each channel that was heard, until any of them changes. */
  const routes = new Map<string, readonly Topic<Handle>[]>();
  const renewal = timerOf(clock);
  /** Counts connects. What was asked before the last one is over. */
  let session = 0;
  let askedByConnect: Asked = [];

  const isKnown = (topic: Topic<Handle>): boolean => topics.get(topic.name) === topic;

  const add = (name: string, options: TopicOptions): Topic<Handle> => {
    const topic = new Topic<Handle>(name, options);
    topics.set(name, topic);
    routes.clear();
    return topic;
  };

  const forget = (topic: Topic<Handle>): void => {
    topic.live = false;
    topic.stopRetry();
    topics.delete(topic.name);
    routes.clear();
  };

  const request = <Kind extends "subscribe_ack" | "unsubscribe_ack" | "sub_refresh_ack">(
    frame: InboundFrame,
    kind: Kind,
    take: (answers: readonly SubscriptionAnswer[]) => void,
  ): Promise<void> =>
    connection.request(frame, {
      ...{ kind, timeoutMs },
      take: ([answer]) => take(answer?.subscriptions ?? []),
    });

  const owner: SubscriptionOwner = {
    failed: terms.failed,
    async end(subscription) {
      const { topic } = subscription;
      subscription.enter("ended");
      if (!topic.handles.delete(subscription) || topic.handles.size > 0 || !isKnown(topic)) return;
      forget(topic);
      if (connection.state !== "connected") return;
      const subscriptions = [{ channel: topic.name }];
      await request({ unsubscribe: { subscriptions } }, "unsubscribe_ack", () => {});
    },
    async setToken({ topic }, token) {
      const { name } = topic;
      topic.options = { ...topic.options, token };
      if (topic.refused !== undefined) {
        topic.refused = undefined;
        topic.asked = 0;
        askRest();
      }
      if (!topic.live) return;
      const frame = { sub_refresh: { channels: [name], tokens: { [name]: token } } };
      await request(frame, "sub_refresh_ack", ([answer]) => {
        if (answer?.error !== undefined) throw errorOf(answer.error);
      });
    },
  };

  /** What is to be asked for and was not in this session, in at most so many bytes; one at least where any is. */
  const wanted = (room: number): Asked => {
    const asked: (readonly [Topic<Handle>, SubscriptionRequest])[] = [];
    let left = room;
    for (const topic of topics.values()) {
      if (topic.live || topic.asked === session) continue;
      if (topic.refused?.token === connection.token) continue;
      const request = topic.request(room / 2);
      left -= utf8Length(JSON.stringify(request));
      if (left < 0 && asked.length > 0) break;
      topic.asked = session;
      asked.push([topic, request]);
    }
    return asked;
  };

  const askRest = (): void => {
    while (connection.state === "connected") {
      const asked = wanted(connection.room);
      if (asked.length === 0) return;
      const mine = session;
      request({ subscribe: { subscriptions: requestedBy(asked) } }, "subscribe_ack", (answers) =>
        answered(asked, answers),
      ).catch((error: unknown) => {
        if (mine !== session) return;
        for (const [topic] of asked) refuse(topic, MessagingError.from(error));
      });
    }
  };

  const answered = (asked: Asked, answers: readonly SubscriptionAnswer[]): void => {
    const byName = new Map(answers.map((answer) => [answer.channel ?? "", answer]));
    for (const [topic, request] of asked) {
      const answer = byName.get(topic.name);
      // Meanwhile the application may have ended it.
      if (!isKnown(topic)) continue;
      if (answer === undefined) topic.asked = 0;
      else if (answer.error !== undefined) refuse(topic, errorOf(answer.error));
      else grant(topic, answer, request);
    }
  };

  const grant = (
    topic: Topic<Handle>,
    { position }: SubscriptionAnswer,
    request: SubscriptionRequest,
  ): void => {
    topic.granted(position, request);
    for (const handle of topic.handles) handle.enter("subscribed");
  };

  const refuse = (topic: Topic<Handle>, error: MessagingError): void => {
    if (!isKnown(topic) || topic.live) return;
    if (error.retry) {
      const mine = session;
      const delayMs = longestDelay(topic.retries++) * clock.random();
      topic.stopRetry = clock.after(retryAfterMs(error) + delayMs, () => {
        if (mine !== session) return;
        topic.asked = 0;
        askRest();
      });
      return;
    }
    topic.refused = { error, token: connection.token };
    // What nobody of this application has asked for.
    if (topic.handles.size === 0) forget(topic);
    for (const handle of topic.handles) handle.enter("refused", error);
  };

  /** The server's side has made them. */
  const subscribed = (answers: readonly SubscriptionAnswer[] = []): void => {
    const channels = channelsOf(answers);
    for (const [i, channel] of channels.entries()) {
      const topic = topics.get(channel) ?? add(channel, {});
      topic.asked = session;
      grant(topic, answers[i] ?? {}, { channel });
    }
    emit("subscribed", { channels });
  };

  const deliver = (message: WireMessage): void => {
    const concerned = route(message.channel);
    let received: ReceivedMessage | undefined;
    /** Whether it is for nobody but the client itself. */
    let isStray = concerned.length === 0;
    for (const topic of concerned) {
      if (!topic.live) continue;
      const accepted = topic.accept(message);
      if (accepted === false) continue;
      if (accepted !== true) missed([topic], accepted);
      received ??= terms.received(message);
      if (received === undefined) return;
      isStray ||= topic.handles.size === 0;
      for (const handle of topic.handles) handle.deliver(received);
    }
    if (!isStray) return;
    received ??= terms.received(message);
    if (received !== undefined) emit("message", received);
  };

  const published = ({ messages = [] }: WirePublication): void => {
    for (const message of messages) deliver(message);
  };

  const missed = (concerned: readonly Topic<Handle>[], gap: WireGap): void => {
    const told = gapOf(gap);
    for (const topic of concerned) topic.passed(gap);
    tell(concerned, "gap", told);
    emit("gap", told);
  };

  const tell = <Type extends keyof SubscriptionEvents>(
    concerned: readonly Topic<Handle>[],
    type: Type,
    detail: SubscriptionEvents[Type],
  ): void => {
    for (const { handles } of concerned) {
      for (const handle of handles) handle.emit(type, detail);
    }
  };

  const route = (channel = ""): readonly Topic<Handle>[] => {
    let concerned = routes.get(channel);
    if (concerned === undefined) {
      concerned = [...topics.values()].filter(({ isPattern, name }) =>
        isPattern ? stands(name, channel) : name === channel,
      );
      if (routes.size >= MOST_ROUTES) routes.clear();
      routes.set(channel, concerned);
    }
    return concerned;
  };

  /** The topics that something is about which names a channel or a pattern. */
  const about = (name = ""): readonly Topic<Handle>[] => {
    const own = topics.get(name);
    return (own?.isPattern ? [own] : route(name)).filter(({ live }) => live);
  };

  const renewLater = (): void =>
    renewal.set(RENEWAL_MS, () => {
      const renewed = [...topics.values()].filter(
        ({ isPattern, live, recovering }) => isPattern && live && !recovering,
      );
      const subscriptions = renewed.map((topic) => topic.renewal());
      renewLater();
      if (renewed.length === 0) return;
      request({ subscribe: { subscriptions } }, "subscribe_ack", (answers) => {
        for (const [i, topic] of renewed.entries()) {
          const answer = answers[i];
          // What is refused now goes on as it is.
          if (topic.live && answer !== undefined && !answer.error)
            topic.granted(answer.position, topic.renewal());
        }
      }).catch(() => {});
    });

  return {
    subscribe<T>(name: string, options: SubscribeOptions<T>): Subscription<T> {
      const { onMessage, signal, ...own } = options;
      const former = topics.get(name);
      const isNew = JSON.stringify(former?.options) !== JSON.stringify(own);
      if (isNew && former?.handles.size) {
        throw new MessagingError("BAD_REQUEST", `${name} is subscribed to with other options`);
      }
      const topic = isNew || former === undefined ? add(name, own) : former;
      const subscription = new Subscription<T>(topic, owner, onMessage);
      topic.handles.add(subscription);
      if (isNew) askRest();
      else if (topic.live) subscription.enter("subscribed");
      else if (topic.refused) subscription.enter("refused", topic.refused.error);
      whenAborted(signal, () => {
        subscription.unsubscribe().catch(() => {});
      });
      return subscription;
    },

    requests(room) {
      session += 1;
      askedByConnect = wanted(room);
      return requestedBy(askedByConnect);
    },

    connected({ subscriptions = [], publications = [] }) {
      answered(askedByConnect, subscriptions);
      const own = new Set(askedByConnect.map(([{ name }]) => name));
      const others = subscriptions.filter(({ channel = "", error }) => !own.has(channel) && !error);
      if (others.length > 0) subscribed(others);
      askRest();
      renewLater();
      for (const publication of publications) published(publication);
    },

    refreshed: askRest,

    lost(error) {
      session += 1;
      renewal.stop();
      for (const topic of topics.values()) {
        topic.live = false;
        topic.recovering = false;
        topic.stopRetry();
        // No verdict comes of it any more, and the next recovery begins after it.
        if (!error) for (const gap of topic.untold.values()) missed([topic], gap);
        topic.untold.clear();
        for (const handle of topic.handles) {
          if (error !== undefined) handle.enter("ended", error);
          else if (topic.refused === undefined) handle.enter("subscribing");
        }
      }
    },

    handlers: {
      publication: published,
      gap(gap) {
        missed(about(gap.channel), gap);
      },
      recovered({ channel = "", position, gap }) {
        const concerned = about(channel);
        for (const topic of concerned) topic.recovered(channel, position);
        if (gap !== undefined) missed(concerned, { channel, ...gap });
        tell(concerned, "recovered", { channel });
      },
      presence_event({ channel = "", join, leave }) {
        const kind = join === undefined ? "leave" : "join";
        tell(route(channel), "presence", { channel, kind, member: memberOf(join ?? leave ?? {}) });
      },
      presence({ channel = "", members = [] }) {
        tell(route(channel), "presence", {
          channel,
          kind: "members",
          members: members.map(memberOf),
        });
      },
      subscribed: ({ subscriptions }) => subscribed(subscriptions),
      unsubscribed({ subscriptions = [] }) {
        const channels = channelsOf(subscriptions);
        for (const channel of channels) {
          const topic = topics.get(channel);
          if (topic === undefined) continue;
          forget(topic);
          const error = new MessagingError("ACL_ERROR", "the server has ended the subscription");
          for (const handle of topic.handles) handle.enter("ended", error);
        }
        emit("unsubscribed", { channels });
      },
    },
  };
}

function requestedBy(asked: Asked): readonly SubscriptionRequest[] {
  return asked.map(([, request]) => request);
}

function channelsOf(answers: readonly SubscriptionAnswer[]): readonly string[] {
  return answers.map(({ channel = "" }) => channel);
}
