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
} from "../../wire/frames.ts";
import { utf8Length } from "../../wire/sizes.ts";
import type { Connection } from "../connection.ts";
import { whenAborted } from "../emitter.ts";
import { type Gap, gapOf, memberOf, type ReceivedMessage } from "../message.ts";
import { isPattern } from "../patterns.ts";
import type { Clock } from "../ports.ts";
import { errorOf } from "../requests.ts";
import {
  type SubscribeOptions,
  Subscription,
  type SubscriptionEvents,
  type TopicOptions,
} from "../subscription.ts";
import { Timer } from "../timer.ts";
import { Delivery } from "./delivery.ts";
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

/** What one request asks for. */
type Asked = ReadonlyMap<Topic, SubscriptionRequest>;

/** How often a pattern tells the server that it is up to date, in milliseconds. */
const RENEWAL_MS = 5 * 60_000;

export function topicsOf(terms: TopicsTerms): Topics {
  const { connection, clock, emit, failed } = terms;
  const topics = new Map<string, Topic>();
  const renewal = new Timer(clock);
  /** Counts losses. What was asked before the last one is over. */
  let session = 0;
  let askedByConnect: Asked = new Map();

  const add = (name: string, options: TopicOptions): Topic => {
    const topic = new Topic(name, options, { clock, connection, ask: askRest, forget, missed });
    topics.set(name, topic);
    delivery.clear();
    return topic;
  };

  const forget = (topic: Topic, error?: MessagingError): void => {
    topics.delete(topic.name);
    delivery.clear();
    topic.end(error);
  };

  const request = <Kind extends "subscribe_ack" | "unsubscribe_ack" | "sub_refresh_ack">(
    frame: InboundFrame,
    kind: Kind,
    take: (answers: readonly SubscriptionAnswer[]) => void,
  ): Promise<void> =>
    connection.request(frame, { kind, take: ([{ subscriptions = [] }]) => take(subscriptions) });

  /** What is to be asked for, in at most so many bytes; one at least where any is. */
  const wanted = (room: number): Asked => {
    const asked = new Map<Topic, SubscriptionRequest>();
    let left = room;
    for (const topic of topics.values()) {
      const request = topic.request(room / 2);
      if (!request) continue;
      left -= utf8Length(JSON.stringify(request));
      if (left < 0 && asked.size) {
        topic.answered(undefined, request);
        break;
      }
      asked.set(topic, request);
    }
    return asked;
  };

  const askRest = (): void => {
    while (connection.state === "connected") {
      const asked = wanted(connection.room);
      if (!asked.size) return;
      ask(asked);
    }
  };

  const ask = (asked: Asked): void => {
    const mine = session;
    request({ subscribe: { subscriptions: [...asked.values()] } }, "subscribe_ack", (answers) =>
      answered(asked, answers),
    ).catch((error: unknown) => {
      if (mine !== session) return;
      for (const topic of asked.keys()) topic.refuse(MessagingError.from(error));
    });
  };

  /** @returns what was not asked for */
  const answered = (
    asked: Asked,
    answers: readonly SubscriptionAnswer[],
  ): readonly SubscriptionAnswer[] => {
    const byName = new Map(answers.map((answer) => [answer.channel ?? "", answer]));
    for (const [topic, request] of asked) {
      topic.answered(byName.get(topic.name), request);
      byName.delete(topic.name);
    }
    return [...byName.values()];
  };

  /** The server's side has made them. */
  const subscribed = (answers: readonly SubscriptionAnswer[] = []): void => {
    const channels = channelsOf(answers);
    for (const answer of answers) {
      const { channel = "" } = answer;
      const topic = topics.get(channel) ?? add(channel, {});
      topic.answered(answer, { channel });
    }
    emit("subscribed", { channels });
  };

  const missed = (concerned: readonly Topic[], gap: WireGap): void => {
    const told = gapOf(gap);
    for (const topic of concerned) topic.passed(gap);
    tell(concerned, "gap", told);
    emit("gap", told);
  };

  const tell = <Type extends keyof SubscriptionEvents>(
    concerned: readonly Topic[],
    type: Type,
    detail: SubscriptionEvents[Type],
  ): void => {
    for (const { handles } of concerned) {
      for (const handle of handles) handle.emit(type, detail);
    }
  };

  /** The topics that something is about which names a channel or a pattern. */
  const about = (name = ""): readonly Topic[] => {
    const own = topics.get(name);
    return (own && isPattern(name) ? [own] : delivery.route(name)).filter(({ isLive }) => isLive);
  };

  const renewLater = (): void =>
    renewal.set(RENEWAL_MS, () => {
      const renewed = new Map<Topic, SubscriptionRequest>();
      for (const topic of topics.values()) {
        const request = topic.renewal();
        if (request) renewed.set(topic, request);
      }
      renewLater();
      // What is refused now goes on as it is.
      if (renewed.size) ask(renewed);
    });

  const delivery = new Delivery({
    ...{ topics, missed, received: terms.received },
    stray: (message) => emit("message", message),
  });

  return {
    subscribe<T>(name: string, options: SubscribeOptions<T>): Subscription<T> {
      const { onMessage, signal, ...own } = options;
      let topic = topics.get(name);
      const isNew = !topic?.has(own);
      if (isNew) {
        if (topic?.handles.size) {
          throw new MessagingError("BAD_REQUEST", `${name} has other options`);
        }
        topic?.end();
        topic = add(name, own);
      }
      const joined = topic as Topic;
      const subscription = new Subscription<T>(name, onMessage, {
        failed,
        async end() {
          subscription.enter("ended");
          if (!joined.leave(subscription)) return;
          forget(joined);
          if (connection.state === "connected") {
            const subscriptions = [{ channel: name }];
            await request({ unsubscribe: { subscriptions } }, "unsubscribe_ack", () => {});
          }
        },
        async setToken(token) {
          if (!joined.setToken(token)) return;
          const frame = { sub_refresh: { channels: [name], tokens: { [name]: token } } };
          await request(frame, "sub_refresh_ack", ([answer]) => {
            if (answer?.error) throw errorOf(answer.error);
          });
        },
      });
      joined.join(subscription);
      if (isNew) askRest();
      whenAborted(signal, () => subscription.unsubscribe());
      return subscription;
    },

    requests(room) {
      askedByConnect = wanted(room);
      return [...askedByConnect.values()];
    },

    connected({ subscriptions = [], publications = [] }) {
      const others = answered(askedByConnect, subscriptions).filter(({ error }) => !error);
      if (others.length) subscribed(others);
      // Nobody may want any more what was asked for.
      const left = [...askedByConnect.values()].filter(({ channel }) => !topics.has(channel));
      if (left.length) {
        const frame = { unsubscribe: { subscriptions: left } };
        request(frame, "unsubscribe_ack", () => {}).catch(() => {});
      }
      askRest();
      renewLater();
      for (const publication of publications) delivery.published(publication);
    },

    refreshed: askRest,

    lost(error) {
      session += 1;
      delivery.only = "";
      renewal.stop();
      for (const topic of topics.values()) topic.lost(error);
    },

    handlers: {
      only(name) {
        delivery.only = name;
      },
      publication: delivery.published.bind(delivery),
      gap(gap) {
        missed(about(gap.channel), gap);
      },
      recovered({ channel = "", position, gap }) {
        const concerned = about(channel);
        for (const topic of concerned) topic.recovered(channel, position);
        if (gap) missed(concerned, { channel, ...gap });
        tell(concerned, "recovered", { channel });
      },
      presence_event({ channel = "", join, leave }) {
        const kind = join ? "join" : "leave";
        tell(delivery.route(channel), "presence", {
          channel,
          kind,
          member: memberOf(join ?? leave ?? {}),
        });
      },
      presence({ channel = "", members = [] }) {
        tell(delivery.route(channel), "presence", {
          channel,
          kind: "members",
          members: members.map(memberOf),
        });
      },
      subscribed: ({ subscriptions }) => subscribed(subscriptions),
      unsubscribed({ subscriptions = [] }) {
        const channels = channelsOf(subscriptions);
        const error = new MessagingError("ACL_ERROR", "the subscription has ended");
        for (const channel of channels) {
          const topic = topics.get(channel);
          if (topic) forget(topic, error);
        }
        emit("unsubscribed", { channels });
      },
    },
  };
}

function channelsOf(answers: readonly SubscriptionAnswer[]): readonly string[] {
  return answers.map(({ channel = "" }) => channel);
}
