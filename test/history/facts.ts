/**
 * What is known to have happened: every fact is put down where it was seen, by the publisher that sent
 * or the subscriber that received, and all of them in one order. The checker judges nothing else.
 */
import type { ChannelRules } from "../../src/channels/rules.ts";

/** A place in a channel's log. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** An event as its publisher means it. Its text is its own and no other event's. */
export interface EventSpec {
  readonly channel: string;
  /** Authenticated name of the publisher. */
  readonly user: string;
  readonly source: string;
  readonly id: string;
  readonly text: string;
  /** Whether to publish it again means the same event. */
  readonly named: boolean;
  /** It is published with so much after its text, in bytes. */
  readonly padding: number;
}

/** An event's data: its text, and behind it what makes it large. */
export function padded({ text, padding }: EventSpec): string {
  return text.padEnd(padding, ".");
}

/** The text of an event's data. */
export function unpadded(data: string): string {
  const end = data.indexOf(".");
  return end < 0 ? data : data.slice(0, end);
}

/** A delivered event, as a subscriber sees it. */
export interface SeenEvent {
  readonly text: string;
  readonly id: string;
  /** What only extended clients are told; undefined otherwise. */
  readonly source: string | undefined;
  readonly user: string | undefined;
}

export type Reason = "head_trimmed" | "expired" | "epoch_changed" | "limit" | "unavailable";

export interface SeenGap {
  readonly reason: string;
  readonly after: Place | undefined;
  readonly until: Place | undefined;
}

/** What a subscriber asks for when it subscribes. */
export interface Ask {
  readonly recover: boolean;
  readonly since: Place | undefined;
  readonly rewind: number;
}

/** What a subscriber did or saw in one channel. */
export type ChannelFact =
  /** Subscriptions of one request share its number, and what it may replay. */
  | { readonly kind: "subscribe"; readonly request: number; readonly ask: Ask }
  /** `position` is undefined to v1 clients; `error` is the code of a refusal. */
  | {
      readonly kind: "ack";
      readonly position: Place | undefined;
      readonly error: string | undefined;
    }
  | {
      readonly kind: "message";
      readonly place: Place;
      readonly event: SeenEvent;
      readonly replay: boolean;
    }
  | {
      readonly kind: "recovered";
      readonly position: Place | undefined;
      readonly gap: SeenGap | undefined;
    }
  | { readonly kind: "gap"; readonly gap: SeenGap }
  | { readonly kind: "unsubscribe" }
  | { readonly kind: "unsubscribed" };

/** What a subscriber did or saw of a pattern. Its position is a time, and no place in a log. */
export type PatternFact =
  | {
      readonly kind: "subscribe";
      readonly request: number;
      readonly recover: boolean;
      readonly since: Place | undefined;
      /** The last position in each channel. */
      readonly positions: Readonly<Record<string, Place>>;
    }
  | Extract<ChannelFact, { kind: "ack" | "recovered" | "gap" | "unsubscribe" | "unsubscribed" }>;

/** What an application saw of a subscription that it has by the SDK. */
export type ApplicationFact =
  /** For the first time: what is published from now on is owed, and where it was asked for, all after a place. */
  | { readonly kind: "subscribed"; readonly since: Place | undefined }
  | {
      readonly kind: "message";
      readonly channel: string;
      readonly place: Place;
      readonly event: SeenEvent;
      readonly replay: boolean;
    }
  /** Of a channel, or of the pattern where it is not known of which. */
  | { readonly kind: "gap"; readonly channel: string; readonly gap: SeenGap }
  /** By the application, or because its client is closed. */
  | { readonly kind: "ended" };

/** A page of history that was read from its oldest message to its newest. */
export interface ReadPage {
  readonly messages: readonly { readonly place: Place; readonly event: SeenEvent }[];
  readonly position: Place;
  /** When it was asked for, Unix milliseconds, and the head that its beginning was told with. */
  readonly began: number;
  readonly head: Place;
}

export type Fact =
  | { readonly kind: "publish"; readonly attempt: number; readonly event: EventSpec }
  /** `epoch` and `duplicate` are undefined to v1 clients. */
  | {
      readonly kind: "published";
      readonly attempt: number;
      readonly offset: number;
      readonly epoch: string | undefined;
      readonly duplicate: boolean | undefined;
    }
  /** Whether it was published is not known. */
  | { readonly kind: "unknown"; readonly attempt: number }
  /** It was refused, and surely not published. */
  | { readonly kind: "refused"; readonly attempt: number; readonly code: string }
  /** Its publisher was told that it was never sent. */
  | { readonly kind: "unsent"; readonly attempt: number }
  | {
      readonly kind: "seen";
      readonly who: string;
      readonly channel: string;
      readonly fact: ChannelFact;
    }
  | {
      readonly kind: "pattern";
      readonly who: string;
      readonly pattern: string;
      readonly fact: PatternFact;
    }
  /** `who` is one subscription to `name`, from its beginning to its end. */
  | {
      readonly kind: "application";
      readonly who: string;
      readonly name: string;
      readonly fact: ApplicationFact;
    }
  | { readonly kind: "drop"; readonly who: string }
  /** History of a channel is being removed, or has been. Beginning and end have one number. */
  | {
      readonly kind: "trim";
      readonly channel: string;
      readonly span: number;
      readonly done: boolean;
    }
  /** The log of a channel that lives in memory is being lost, or has been. */
  | {
      readonly kind: "loss";
      readonly channel: string;
      readonly span: number;
      readonly done: boolean;
    }
  /** Something failed on purpose that may keep a log from answering for a while. */
  | { readonly kind: "fault"; readonly what: string }
  | { readonly kind: "page"; readonly channel: string; readonly page: ReadPage }
  /** Everything owed has had its time: this is the head, and who listens must have reached it. */
  | { readonly kind: "settled"; readonly channel: string; readonly head: Place };

/** A fact with its place in the order of all facts, and its time in Unix milliseconds. */
export type Noted = { readonly seq: number; readonly time: number } & Fact;

/** What a subscriber can be told. */
export type Grade = "v1" | "extended" | "recovery";

export interface Terms {
  readonly rules: ChannelRules;
  /** Whether a restart of the host loses the channel's log. */
  readonly volatile: boolean;
  /** Within this time without a word the host may stop by itself what is volatile, in milliseconds. */
  readonly sleepsAfterMs?: number | undefined;
  /**
   * Whether servers hear only in passing what the channel does not keep: what one of them could not hear
   * is lost, and told to those who know gaps.
   */
  readonly inPassing?: boolean | undefined;
}

export interface HistoryTerms {
  readonly channels: ReadonlyMap<string, Terms>;
  readonly grades: ReadonlyMap<string, Grade>;
  /** Messages that one request may replay. */
  readonly recoveryMessages: number;
  /**
   * Whether a publish may be called repeated at its first attempt, because a host may repeat calls
   * inside itself.
   */
  readonly repeatsInside: boolean;
}
