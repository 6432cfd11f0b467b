/** The members of a channel: asked for whenever the subscription stands anew, and kept by the changes since. */
import {
  type Member,
  MessagingError,
  type PresenceChange,
  type Subscription,
} from "../../index.ts";
import type { AnyClient } from "./types.ts";

/** Who is there, as far as it is known. */
export interface PresenceStatus {
  /** In the order in which they joined, at most 1,000, this client among them. Empty while they are not known. */
  readonly members: readonly Member[];
  /** How many there are; undefined while it is not known. */
  readonly total: number | undefined;
  /** Why it cannot be known. */
  readonly error: MessagingError | undefined;
}

export const UNKNOWN: PresenceStatus = { members: [], total: undefined, error: undefined };

/** The pause before a question is repeated that has failed for now, in milliseconds. */
const REPEAT_MS = 2_000;

export class ChannelMembers {
  status = UNKNOWN;
  readonly #channel: string;
  readonly #client: AnyClient | undefined;
  readonly #changed: () => void;
  #subscription: Subscription | undefined;
  #members = new Map<string, Member>();
  #total = 0;
  /** Counts questions: only the last one's answer is heard. */
  #asked = 0;
  /** Changes since a question that has no answer yet, which may be older; undefined where none is open. */
  #since: PresenceChange[] | undefined;
  #repeat: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: string, client: AnyClient | undefined, changed: () => void) {
    this.#channel = channel;
    this.#client = client;
    this.#changed = changed;
  }

  /** Goes by this subscription from now on, in the place of the one before. */
  follow(subscription: Subscription): void {
    this.#subscription = subscription;
    subscription.addEventListener("presence", ({ detail }) => {
      if (subscription === this.#subscription) this.#told(detail);
    });
    subscription.addEventListener("statechange", () => {
      if (subscription === this.#subscription) this.#entered(subscription);
    });
    this.#entered(subscription);
  }

  end(): void {
    this.#subscription = undefined;
    this.#asked += 1;
    clearTimeout(this.#repeat);
  }

  #entered({ state, error }: Subscription): void {
    this.#asked += 1;
    this.#since = undefined;
    clearTimeout(this.#repeat);
    if (state === "subscribed") this.#ask();
    else if (state !== "subscribing") this.#show({ ...UNKNOWN, error });
    // While a connection is lost the former members are shown.
  }

  #ask(): void {
    const question = ++this.#asked;
    this.#since = [];
    this.#client?.presence(this.#channel).then(
      ({ members, total }) => {
        if (question !== this.#asked) return;
        this.#members = new Map(members.map((member) => [keyOf(member), member]));
        this.#total = total;
        for (const change of this.#since ?? []) this.#apply(change);
        this.#since = undefined;
        this.#showMembers();
      },
      (cause: unknown) => {
        if (question !== this.#asked) return;
        const error = MessagingError.from(cause);
        this.#since = undefined;
        this.#show({ ...UNKNOWN, error });
        if (error.retry) this.#repeat = setTimeout(() => this.#ask(), REPEAT_MS);
      },
    );
  }

  #told(change: PresenceChange): void {
    // A pattern's subscription hears of other channels.
    if (change.channel !== this.#channel) return;
    this.#since?.push(change);
    if (this.status.total === undefined) return;
    this.#apply(change);
    this.#showMembers();
  }

  #apply(change: PresenceChange): void {
    if (change.kind === "members") {
      this.#members = new Map(change.members.map((member) => [keyOf(member), member]));
      this.#total = change.members.length;
      return;
    }
    const key = keyOf(change.member);
    if (change.kind === "join") {
      if (!this.#members.has(key)) this.#total += 1;
      this.#members.set(key, change.member);
    } else {
      // Of more than are listed anyone may have left.
      const isListed = this.#members.has(key);
      if (isListed || this.#total > this.#members.size) this.#total -= 1;
      this.#members.delete(key);
    }
  }

  #showMembers(): void {
    this.#show({ members: [...this.#members.values()], total: this.#total, error: undefined });
  }

  #show(status: PresenceStatus): void {
    this.status = status;
    this.#changed();
  }
}

function keyOf({ userId, clientId, sessionId }: Member): string {
  return JSON.stringify([userId, clientId, sessionId]);
}
