/**
 * One session's way of hearing channels: what the hub hands over goes to its client, or waits here while the client is
 * still given what came before. A subscription to a channel is one; the patterns of a session together are another.
 */
import type { Member } from "../../channels/presence.ts";
import type { Encoding } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import type { PublicationBatch, SizedFrame, Variant } from "../../protocol/publication-frames.ts";
import type { TransientBatch } from "../../protocol/transient-frames.ts";
import type { LogGap } from "../ports/broker.ts";
import type { HeldItem, PresenceNotice } from "./replay-buffer.ts";

/** What a subscription needs of its session. */
export interface Subscriber {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly encoding: Encoding;
  readonly variant: Variant;
  /** Whether it hears of joins and leaves. */
  readonly followsPresence: boolean;
  /** Whether it may know the members of a channel. */
  mayFollowPresence(channel: string): boolean;
  /** Bytes that frames have to keep to where they can be divided; 0 where the client has not asked. */
  readonly maxFrameBytes: number;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
  /** Reports missing messages, where the client knows such a thing. */
  tellGap(channel: string, gap: LogGap): void;
  /** What its host must remember has changed. */
  changed(): void;
}

/**
 * Whose doing a subscription is: the client has asked for it, its token or its authenticator has given it, or the
 * application has subscribed the session. Each stands above those before.
 */
export const ORIGINS = ["client", "given", "server"] as const;
export type Origin = (typeof ORIGINS)[number];

/** That of two which stands above the other. */
export function higher(left: Origin, right: Origin): Origin {
  return ORIGINS.indexOf(left) > ORIGINS.indexOf(right) ? left : right;
}

/** Messages written to sessions since the start: one per message and session. */
export interface Tally {
  delivered: number;
}

/** Where items wait, in their order. */
interface Hold {
  add(item: HeldItem): void;
}

export abstract class Listener<Held extends Hold = Hold> {
  readonly subscriber: Subscriber;
  /** What waits until the client has been given all that comes before; undefined while the session is live. */
  buffer: Held | undefined;
  readonly #tally: Tally;

  constructor(subscriber: Subscriber, tally: Tally) {
    this.subscriber = subscriber;
    this.#tally = tally;
  }

  /** The offset after which a live batch is for the session. */
  protected abstract after(batch: PublicationBatch): number;

  /** Moves past a gap. Returns the part of it that is for the session; undefined where nothing is. */
  protected abstract part(channel: string, gap: LogGap): LogGap | undefined;

  /** Whether a notice of presence says something new. */
  protected abstract isNews(notice: PresenceNotice): boolean;

  /** A batch of the log. What is replayed was read for this session alone, and is for it as a whole. */
  publications(batch: PublicationBatch, isLive = this.buffer === undefined): void {
    if (!isLive) {
      this.buffer?.add({ batch });
      return;
    }
    const { subscriber } = this;
    const after = batch.replay ? 0 : this.after(batch);
    const frames = batch.frames(subscriber.variant, after, subscriber.maxFrameBytes);
    if (frames === undefined) {
      subscriber.close(DISCONNECTS.inappropriateProtocol);
      return;
    }
    for (let i = 0; i < frames.length; i++) subscriber.write(frames[i] as SizedFrame);
    if (frames.length > 0) {
      this.#tally.delivered += batch.lastOffset - Math.max(after, batch.firstOffset - 1);
    }
  }

  /** Messages outside of the log. */
  transients(transients: TransientBatch, isLive = this.buffer === undefined): void {
    if (isLive) this.#tally.delivered += hand(this.subscriber, transients);
    else this.buffer?.add({ transients });
  }

  /** A part of the log cannot be had. */
  gap(channel: string, gap: LogGap, isLive = this.buffer === undefined): void {
    if (!isLive) {
      this.buffer?.add({ channel, gap });
      return;
    }
    const part = this.part(channel, gap);
    if (part !== undefined) this.subscriber.tellGap(channel, part);
  }

  /** A member has come to a channel or gone. */
  presence(channel: string, notice: PresenceNotice, isLive = this.buffer === undefined): void {
    const { subscriber } = this;
    if (!subscriber.followsPresence || !subscriber.mayFollowPresence(channel)) return;
    if (!isLive) {
      this.buffer?.add({ channel, notice });
      return;
    }
    const { member, frame } = notice;
    if (!this.isNews(notice) || (member !== undefined && isMember(subscriber, member))) return;
    subscriber.write(frame.frame(subscriber.encoding, subscriber.maxFrameBytes));
  }

  /** Takes what has waited elsewhere. @param isLive whether it is its turn */
  take(item: HeldItem, isLive = this.buffer === undefined): void {
    if ("batch" in item) this.publications(item.batch, isLive);
    else if ("transients" in item) this.transients(item.transients, isLive);
    else if ("gap" in item) this.gap(item.channel, item.gap, isLive);
    else this.presence(item.channel, item.notice, isLive);
  }
}

/** Writes messages outside of the log to a session. Returns how many. */
export function hand(subscriber: Subscriber, transients: TransientBatch): number {
  const frames = transients.frames(subscriber.variant, subscriber.maxFrameBytes);
  if (frames === undefined) {
    subscriber.close(DISCONNECTS.inappropriateProtocol);
    return 0;
  }
  for (const frame of frames) subscriber.write(frame);
  return transients.messages.length;
}

function isMember({ id, userId, clientId }: Subscriber, member: Member): boolean {
  if (userId === "" && clientId === "") return member.sessionId === id;
  return member.userId === userId && member.clientId === clientId;
}
