/** Where the tabs of a browser come together: each is given to the session of its user. Needs no platform but lines. */
import type { Clock } from "../../core/ports.ts";
import type { InboundFrame } from "../../wire/frames.ts";
import type { HubLine } from "../line.ts";
import { SDK_VERSION } from "../version.ts";
import { type SessionOwner, SharedSession } from "./shared-session.ts";
import { Tab, type TabOwner } from "./tab.ts";
import { type UpstreamTerms, userOf } from "./upstream.ts";

export interface HubTerms extends UpstreamTerms {
  readonly clock: Clock;
  /**
   * Whether the session that stands for a user is to serve its tabs; otherwise they have gone elsewhere when it resolves.
   * Default: it is.
   */
  readonly admit?: (userId: string) => Promise<boolean>;
  /** A session that was admitted has ended. */
  readonly ended?: (userId: string) => void;
}

/** Clients whose connection's name is remembered. */
const MOST_NAMES = 1_000;
const LOST = 1006;

export class Hub implements TabOwner, SessionOwner {
  readonly #terms: HubTerms;
  readonly #sessions = new Set<SharedSession>();
  /** Those that serve, and not only learn whose they are. */
  readonly #admitted = new Set<SharedSession>();
  readonly #sessionOf = new Map<Tab, SharedSession>();
  /** The client id of the connection that a client was part of last: to others it stays the same member. */
  readonly #names = new Map<string, string>();

  constructor(terms: HubTerms) {
    this.#terms = terms;
  }

  /** Connections to the server. */
  get sessions(): readonly SharedSession[] {
    return [...this.#sessions];
  }

  /**
   * Serves the tab at the other end of a line.
   *
   * @param userId whose session it is for, where that is known otherwise than by its token
   */
  attach(line: HubLine, userId?: string): void {
    new Tab(line, this.#terms.clock, this, userId);
  }

  /** Ends all sessions. Tabs get a code and a reason, by which they come back to another hub. */
  end(code: number, reason: string): void {
    for (const session of this.sessions) {
      const tabs = [...session.tabs];
      // No tab comes back where there were no other pages.
      session.close(tabs.some(({ userId }) => userId !== undefined) ? code : 1000);
      for (const tab of tabs) tab.end(code, reason);
    }
  }

  opened(_tab: Tab, version: string, url: string, subprotocol: string): string | undefined {
    const { codec, url: own } = this.#terms;
    if (version !== SDK_VERSION) return `the worker is of version ${SDK_VERSION}, not ${version}`;
    if (url === own && subprotocol === codec.subprotocol) return undefined;
    return `this connection goes to ${own} by ${codec.subprotocol}`;
  }

  frame(tab: Tab, frame: InboundFrame): void {
    if (tab.request !== undefined) this.#sessionOf.get(tab)?.take(tab, frame);
    else if (frame.connect !== undefined) {
      tab.request = frame;
      this.#enter(tab, frame.connect);
    }
  }

  left(tab: Tab): void {
    const session = this.#sessionOf.get(tab);
    this.#sessionOf.delete(tab);
    session?.remove(tab);
  }

  missedPresence(tab: Tab, channels: Iterable<string>): void {
    this.#sessionOf.get(tab)?.tellPresence(tab, channels);
  }

  identified(session: SharedSession): void {
    const other = this.#sessionFor(session.userId);
    if (other !== undefined) {
      const tabs = [...session.tabs];
      session.moveTo(other);
      for (const tab of tabs) this.#joins(tab, other);
      return;
    }
    const { admit } = this.#terms;
    if (admit === undefined) this.#begins(session);
    else {
      const { userId = "" } = session;
      admit(userId).then(
        (serves) => {
          if (session.over) return serves && this.#terms.ended?.(userId);
          if (serves) this.#begins(session);
          else session.close(1000);
        },
        () => this.#begins(session),
      );
    }
  }

  ended(session: SharedSession): void {
    this.#sessions.delete(session);
    if (this.#admitted.delete(session)) this.#terms.ended?.(session.userId ?? "");
  }

  userOf(token: string): Promise<string> {
    return userOf(this.#terms, { token });
  }

  #enter(tab: Tab, request: NonNullable<InboundFrame["connect"]>): void {
    const { client_id = "", token = "" } = request;
    const { userId } = tab;
    const known =
      userId === undefined
        ? this.sessions.find((session) => session.token === token)
        : this.#sessionFor(userId);
    if (known !== undefined) {
      this.#joins(tab, known);
      known.add(tab);
    } else if (userId !== undefined) tab.end(LOST, "the connection has ended");
    else {
      const name = this.#names.get(client_id) ?? client_id;
      const session = new SharedSession(this.#terms, { ...request, client_id: name }, this);
      this.#sessions.add(session);
      this.#joins(tab, session);
      session.add(tab);
      session.start();
    }
  }

  #begins(session: SharedSession): void {
    this.#admitted.add(session);
    session.serve();
  }

  #joins(tab: Tab, session: SharedSession): void {
    this.#sessionOf.set(tab, session);
    const { client_id = "" } = tab.request?.connect ?? {};
    this.#names.delete(client_id);
    if (this.#names.size >= MOST_NAMES) this.#names.clear();
    this.#names.set(client_id, session.clientId);
  }

  #sessionFor(userId: string | undefined): SharedSession | undefined {
    return [...this.#admitted].find((session) => session.userId === userId);
  }
}
