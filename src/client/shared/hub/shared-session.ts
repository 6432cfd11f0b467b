/**
 * One session with the server for all tabs of a user. It asks in their name, and gives each what it has asked for. It ends
 * with the connection: then every tab gets what the server has said, comes back by itself, and asks for what it missed.
 */
import { MessagingError } from "../../../protocol/errors.ts";
import type { AnswerKind } from "../../core/requests.ts";
import type {
  ConnectedFrame,
  InboundFrame,
  OutboundFrame,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireMessage,
} from "../../wire/frames.ts";
import {
  askedNow,
  asksForThePast,
  planOf,
  Recoveries,
  type Recovery,
  verdictsOf,
} from "./recoveries.ts";
import { Routes } from "./routes.ts";
import { Surveys } from "./surveys.ts";
import { granted, type Tab } from "./tab.ts";
import { Upstream, type UpstreamEnd, type UpstreamTerms } from "./upstream.ts";

export interface SessionOwner {
  /** The server has said whose session it is. */
  identified(session: SharedSession): void;
  /** Its connection has ended, or its last tab has gone. */
  ended(session: SharedSession): void;
  /** Who a token stands for. @throws MessagingError */
  userOf(token: string): Promise<string>;
}

/** Longer than any request takes: tabs have deadlines of their own. */
const REQUEST_TIMEOUT_MS = 10 * 60_000;
/** How long a tab has to bring a new token before the next one is asked, in milliseconds. */
const TOKEN_PATIENCE_MS = 5_000;
const USUAL_PING_MS = 25_000;
const COMES_BACK = 3000;
/** What each request is answered by. */
const ANSWERS = [
  ["publish", "publish_ack"],
  ["rpc_request", "rpc_reply"],
  ["history_request", "history"],
  ["presence_request", "presence"],
  ["survey_request", "survey_result"],
  ["sub_refresh", "sub_refresh_ack"],
] as const satisfies readonly (readonly [keyof InboundFrame, AnswerKind])[];

export class SharedSession {
  readonly tabs = new Set<Tab>();
  /** The server knows it by this one. */
  token: string;
  /** Undefined until the server has said whose it is. */
  userId: string | undefined;
  readonly clientId: string;
  over = false;
  /** Whether its tabs are answered, and not only waited for. */
  #serves = false;
  readonly #owner: SessionOwner;
  readonly #terms: UpstreamTerms;
  readonly #upstream: Upstream;
  readonly #routes = new Routes(this.tabs);
  readonly #recoveries: Recoveries;
  readonly #surveys = new Surveys();
  #connected: ConnectedFrame = {};
  /** Names whose verdicts are not for the tab that catches up. */
  #silent: ReadonlySet<string> = new Set();
  /** The server's clock less this one's. */
  #ahead = 0;
  #stopAsking = (): void => {};

  /** @param request the first tab's `connect`, in whose name the connection is made */
  constructor(
    terms: UpstreamTerms,
    request: NonNullable<InboundFrame["connect"]>,
    owner: SessionOwner,
  ) {
    this.#terms = terms;
    this.#owner = owner;
    this.#recoveries = new Recoveries(terms.clock);
    this.token = request.token ?? "";
    this.clientId = request.client_id ?? "";
    this.#upstream = new Upstream(terms, request, {
      connected: (frame, time) => this.#begin(frame, time),
      frame: (frame) => this.#frame(frame),
      report: (error) => this.#report(error),
      ended: (end) => this.#end(end),
    });
  }

  /** Begins the connection, which may fail inside of the call. */
  start(): void {
    this.#upstream.start();
  }

  /** From now on it is its user's session: all tabs that have come are answered. */
  serve(): void {
    this.#serves = true;
    for (const tab of [...this.tabs]) this.#welcome(tab);
  }

  /** Takes a tab in, which has asked to connect. It waits until the session serves. */
  add(tab: Tab): void {
    this.tabs.add(tab);
    this.#routes.changed();
    if (this.#serves) this.#welcome(tab);
  }

  /** Gives its tabs to another session. It was only to learn whose they are. */
  moveTo(other: SharedSession): void {
    const tabs = [...this.tabs];
    this.tabs.clear();
    this.close(1000);
    for (const tab of tabs) other.add(tab);
  }

  /** Answers a tab's `connect`, when the server has answered for its subscriptions. */
  #welcome(tab: Tab): void {
    const { id = "", connect } = tab.request ?? {};
    const requested = askedNow(connect?.subscriptions ?? []);
    const reply = (answers: readonly SubscriptionAnswer[]): void => {
      const named = new Set(answers.map(({ channel }) => channel));
      const given = this.#routes.given.filter(({ channel }) => !named.has(channel));
      const { credit_bytes: _, publications: __, ...connected } = this.#connected;
      const { capabilities = [], ping_interval_ms } = connected;
      tab.send({
        id,
        time: this.#terms.clock.elapsed() + this.#ahead,
        connected: {
          ...connected,
          subscriptions: [...answers, ...given],
          // What is on the way to a tab is counted here, and is expanded already.
          capabilities: capabilities.filter((name) => name !== "credit" && name !== "compact"),
          ping_interval_ms: ping_interval_ms || USUAL_PING_MS,
        },
      });
    };
    if (requested.length === 0) reply([]);
    else this.#subscribe(tab, requested, reply, (error) => reply(allRefused(requested, error)));
  }

  /** What a tab asks. */
  take(tab: Tab, frame: InboundFrame): void {
    const { id = "", subscribe, unsubscribe, refresh } = frame;
    const refuse = (error: unknown): void => tab.send({ id, error: wireError(error) });
    if (subscribe !== undefined) {
      const reply = (subscriptions: readonly SubscriptionAnswer[]): void =>
        tab.send({ id, subscribe_ack: { subscriptions } });
      this.#subscribe(tab, subscribe.subscriptions, reply, refuse);
    } else if (unsubscribe !== undefined) {
      const { subscriptions } = unsubscribe;
      const names = subscriptions.map(({ channel }) => channel);
      const done = (): void => tab.send({ id, unsubscribe_ack: { subscriptions } });
      this.#drop(tab, names).then(done, refuse);
    } else if (refresh !== undefined) {
      this.#refresh(tab, refresh.token).then((ack) => tab.send({ id, refresh_ack: ack }), refuse);
    } else if (frame.survey_response !== undefined) {
      if (this.#surveys.takes(tab, frame)) this.#upstream.connection.tell(frame);
    } else {
      const answer = ANSWERS.find(([request]) => frame[request] !== undefined);
      if (answer !== undefined) this.#pass(tab, frame, answer[1], refuse);
    }
  }

  /** A tab has gone. The last one ends the session. */
  remove(tab: Tab): void {
    if (!this.tabs.delete(tab)) return;
    this.#routes.changed();
    if (this.tabs.size === 0) {
      this.close(1000);
      return;
    }
    for (const id of this.#surveys.left(tab)) this.#answerForNone(id);
    this.#drop(tab, [...tab.topics.keys()]).catch(() => {});
  }

  /** Ends the connection. @param code 1000, or 3000 where its tabs come back to another one */
  close(code: number): void {
    if (this.over) return;
    this.over = true;
    this.#stopAsking();
    this.#recoveries.stop();
    this.#upstream.close(code, "tabs have gone");
    this.#owner.ended(this);
  }

  /** Asks for the members of channels, for a tab that has missed joins and leaves. */
  tellPresence(tab: Tab, channels: Iterable<string>): void {
    for (const channel of channels) {
      const take = ([presence]: NonNullable<OutboundFrame["presence"]>[]): void => {
        if (tab.hears(channel)) tab.send({ presence: { channel, ...presence } });
      };
      this.#upstream.connection
        .request(
          { presence_request: { channel } },
          { kind: "presence", take, timeoutMs: REQUEST_TIMEOUT_MS },
        )
        .catch(() => {});
    }
  }

  #begin(frame: ConnectedFrame, time: number): void {
    this.#connected = frame;
    this.#ahead = time - this.#terms.clock.elapsed();
    for (const answer of frame.subscriptions ?? []) if (!answer.error) this.#routes.gives(answer);
    this.userId = frame.user_id ?? "";
    this.#owner.identified(this);
    for (const { messages = [] } of frame.publications ?? []) this.#publish(messages);
  }

  #end({ told, code, reason, fatal, retryAfterMs }: UpstreamEnd): void {
    if (this.over) return;
    this.over = true;
    this.#stopAsking();
    this.#recoveries.stop();
    this.#owner.ended(this);
    for (const tab of [...this.tabs]) {
      for (const frame of told) tab.send({ id: tab.request?.id ?? "", ...frame });
      tab.end(code, reason, fatal, retryAfterMs);
    }
  }

  /** Requests of tabs are the connection's, by other ids. */
  #pass(tab: Tab, frame: InboundFrame, kind: AnswerKind, refuse: (error: unknown) => void): void {
    const { id = "", ...request } = frame;
    const take = (answers: unknown[]): void => {
      for (const answer of answers) tab.send({ id, [kind]: answer });
    };
    this.#upstream.connection
      .request(request, { kind, take, timeoutMs: REQUEST_TIMEOUT_MS })
      .catch(refuse);
  }

  #subscribe(
    tab: Tab,
    requested: readonly SubscriptionRequest[],
    reply: (answers: readonly SubscriptionAnswer[]) => void,
    refuse: (error: unknown) => void,
  ): void {
    const asked = requested.map((entry) => this.#routes.asks(tab, entry));
    for (const { channel } of requested) tab.wanted.add(channel);
    const recovers = requested.some(asksForThePast);
    const ask = (recovery?: Recovery): Promise<void> => {
      const { entries, silent, gaps } = planOf(tab, asked, this.#routes);
      const take = ([ack]: NonNullable<OutboundFrame["subscribe_ack"]>[]): void => {
        const answers = (ack?.subscriptions ?? []).slice(0, asked.length);
        this.#granted(tab, entries.slice(0, asked.length), silent, answers);
        reply(answers);
        for (const gap of gaps) tab.gap(gap);
        if (recovery === undefined) return;
        this.#silent = silent;
        this.#recoveries.expect(recovery, verdictsOf(entries, ack?.subscriptions ?? []));
      };
      return this.#upstream.connection
        .request(
          { subscribe: { subscriptions: entries } },
          { kind: "subscribe_ack", take, timeoutMs: REQUEST_TIMEOUT_MS },
        )
        .catch((error: unknown) => {
          for (const { channel } of asked) this.#routes.answered(channel, false);
          refuse(error);
          if (recovery !== undefined) this.#recoveries.end(recovery);
        });
    };
    const recovery: Recovery = {
      tab,
      ask: () => {
        ask(recovery).catch(() => {});
      },
    };
    if (recovers) this.#recoveries.add(recovery);
    else this.#recoveries.change(() => ask());
  }

  #granted(
    tab: Tab,
    asked: readonly SubscriptionRequest[],
    silent: ReadonlySet<string>,
    answers: readonly SubscriptionAnswer[],
  ): void {
    const byName = new Map(answers.map((answer) => [answer.channel, answer]));
    const gone: string[] = [];
    // Of a channel that a pattern brings which catches up, what comes by that is not to be dropped.
    const asking = (entry: SubscriptionRequest): number =>
      Number(asksForThePast(entry) && !silent.has(entry.channel));
    for (const entry of asked.toSorted((one, other) => asking(other) - asking(one))) {
      const { channel, since, rewind, positions = {}, ephemeral } = entry;
      const answer = byName.get(channel);
      const isGranted = answer !== undefined && answer.error === undefined;
      this.#routes.answered(channel, isGranted);
      if (!isGranted || tab.over || !tab.wanted.has(channel)) {
        if (!tab.topics.has(channel)) gone.push(channel);
        continue;
      }
      const hadBefore = tab.hears(channel);
      const held = tab.topics.get(channel);
      tab.topics.set(channel, held ?? granted(answer.position, ephemeral));
      this.#routes.holds(tab, channel);
      if (asking(entry) > 0) {
        for (const [name, position] of Object.entries(positions)) tab.cursors.begin(name, position);
        tab.cursors.begin(channel, rewind && !since ? undefined : since);
      } else if (!hadBefore) tab.cursors.begin(channel, answer.position);
    }
    // What was refused, or is not wanted any more, may be no tab's now.
    if (gone.length > 0) this.#drop(tab, gone).catch(() => {});
  }

  /** A tab holds some names no more: the server hears what that means for the connection. */
  #drop(tab: Tab, names: readonly string[]): Promise<void> {
    for (const name of names) {
      tab.wanted.delete(name);
      this.#routes.releases(tab, name);
    }
    tab.cursors.keep((channel) => tab.hears(channel));
    return new Promise((resolve, reject) => {
      this.#recoveries.change(() => this.#tellLeft(names).then(resolve, reject));
    });
  }

  async #tellLeft(names: readonly string[]): Promise<void> {
    const last: SubscriptionRequest[] = [];
    const changed: SubscriptionRequest[] = [];
    for (const channel of names) {
      const left = this.#routes.left(channel);
      if (left === "last") last.push({ channel });
      else if (left !== undefined) changed.push(left);
    }
    const terms = { take: () => {}, timeoutMs: REQUEST_TIMEOUT_MS };
    const { connection } = this.#upstream;
    const requests: Promise<void>[] = [];
    if (last.length > 0) {
      const frame = { unsubscribe: { subscriptions: last } };
      requests.push(connection.request(frame, { kind: "unsubscribe_ack", ...terms }));
    }
    if (changed.length > 0) {
      const frame = { subscribe: { subscriptions: changed } };
      requests.push(connection.request(frame, { kind: "subscribe_ack", ...terms }));
    }
    await Promise.all(requests);
  }

  #frame(frame: OutboundFrame): void {
    const { publication, gap, recovered, presence, presence_event: change } = frame;
    if (publication !== undefined) this.#publish(publication.messages ?? []);
    else if (gap !== undefined) {
      for (const tab of this.#routes.concerned(gap.channel ?? "")) tab.gap(gap);
    } else if (recovered !== undefined) this.#verdict(frame, recovered);
    else if (presence !== undefined || change !== undefined) {
      const { channel = "" } = presence ?? change ?? {};
      for (const tab of this.#routes.of(channel)) tab.presence(channel, frame);
    } else if (frame.survey_request !== undefined) this.#question(frame);
    else if (frame.token_expiring !== undefined) this.#tokenExpiring(frame);
    else if (frame.subscribed !== undefined) {
      for (const answer of frame.subscribed.subscriptions ?? []) this.#routes.gives(answer);
      for (const tab of this.tabs) tab.send(frame);
    } else if (frame.unsubscribed !== undefined) this.#unsubscribed(frame.unsubscribed);
  }

  #publish(messages: readonly WireMessage[]): void {
    const parts = new Map<Tab, WireMessage[]>();
    for (const message of messages) {
      const { channel = "", epoch = "", offset = 0 } = message;
      if (epoch) this.#routes.reaches(channel, { epoch, offset });
      for (const tab of this.#routes.of(channel)) {
        const part = parts.get(tab);
        if (part === undefined) parts.set(tab, [message]);
        else part.push(message);
      }
    }
    const catchesUp = this.#recoveries.tab;
    for (const [tab, part] of parts) tab.deliver(part, tab === catchesUp);
  }

  #verdict(frame: OutboundFrame, { channel = "", position }: RecoveredFrame): void {
    const { tab } = this.#recoveries;
    // It may be about company, which is of no interest to the tab itself.
    const isOwn = tab?.topics.has(channel) || tab?.hears(channel);
    if (tab !== undefined && isOwn && !this.#silent.has(channel)) {
      tab.cursors.reach(channel, position);
      tab.send(frame);
    }
    this.#recoveries.verdict(channel);
  }

  #question(frame: OutboundFrame): void {
    const { request_id: id = "", payload } = frame.survey_request ?? {};
    const tabs = this.#routes.of(payload?.source ?? "");
    this.#surveys.ask(id, tabs);
    for (const tab of tabs) tab.send(frame);
    if (tabs.length === 0) this.#answerForNone(id);
  }

  #answerForNone(request_id: string): void {
    const error = wireError(new MessagingError("UNIMPLEMENTED", "no tab answers surveys"));
    this.#upstream.connection.tell({ survey_response: { request_id, error } });
  }

  #unsubscribed({ subscriptions = [] }: NonNullable<OutboundFrame["unsubscribed"]>): void {
    const told = new Map<Tab, SubscriptionAnswer[]>();
    for (const answer of subscriptions) {
      for (const tab of this.#routes.ends(answer.channel ?? "")) {
        const part = told.get(tab);
        if (part === undefined) told.set(tab, [answer]);
        else part.push(answer);
      }
    }
    for (const [tab, part] of told) {
      tab.cursors.keep((channel) => tab.hears(channel));
      tab.send({ unsubscribed: { subscriptions: part } });
    }
  }

  #tokenExpiring(frame: OutboundFrame): void {
    const { channels = [] } = frame.token_expiring ?? {};
    if (channels.length === 0) {
      const own = [...this.tabs].filter(({ userId }) => userId === undefined);
      this.#askForToken(frame, own);
      return;
    }
    for (const tab of this.tabs) {
      const own = channels.filter((channel) => tab.topics.has(channel));
      if (own.length > 0) tab.send({ token_expiring: { ...frame.token_expiring, channels: own } });
    }
  }

  /** One tab brings it for all: each is asked until one has. */
  #askForToken(frame: OutboundFrame, [tab, ...others]: readonly Tab[]): void {
    this.#stopAsking();
    if (tab === undefined) return;
    tab.send(frame);
    this.#stopAsking = this.#terms.clock.after(TOKEN_PATIENCE_MS, () =>
      this.#askForToken(frame, others),
    );
  }

  /** A tab brings a new token, which is the connection's as well if it stands for the same user. */
  async #refresh(tab: Tab, token: string): Promise<NonNullable<OutboundFrame["refresh_ack"]>> {
    const userId = token === this.token ? this.userId : await this.#owner.userOf(token);
    if (userId !== this.userId) {
      // It comes back by itself, with this token, to a connection of that user.
      const disconnect = { code: COMES_BACK, reason: "another user", reconnect: true };
      tab.send({ disconnect });
      tab.end(COMES_BACK, disconnect.reason);
      throw new MessagingError("UNAVAILABLE", disconnect.reason);
    }
    return this.#upstream.connection.request(
      { refresh: { token } },
      {
        kind: "refresh_ack",
        timeoutMs: REQUEST_TIMEOUT_MS,
        take: ([ack = {}]) => {
          this.token = token;
          this.#stopAsking();
          return ack;
        },
      },
    );
  }

  #report(error: unknown): void {
    for (const tab of this.tabs) tab.send({ error: wireError(error) });
  }
}

type RecoveredFrame = NonNullable<OutboundFrame["recovered"]>;

function wireError(cause: unknown): NonNullable<OutboundFrame["error"]> {
  const { code, type, message, metadata } = MessagingError.from(cause);
  return { code, type, message, metadata };
}

function allRefused(
  requested: readonly SubscriptionRequest[],
  cause: unknown,
): readonly SubscriptionAnswer[] {
  const error = wireError(cause);
  return requested.map(({ channel }) => ({ channel, error }));
}
