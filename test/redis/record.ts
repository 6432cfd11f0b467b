/**
 * Holds what nodes were told against what was acknowledged: every node that listens gets each entry at
 * its place, in the order of the log and once, or a gap that covers it before anything behind it. What a node heard
 * before its registration was answered may come as well, in its place: the hub knows where each session begins.
 */
import type { LogGap, Position } from "../../src/engine/ports/broker.ts";
import type { Node } from "./nodes.ts";

export interface Acknowledged {
  readonly channel: string;
  readonly text: string;
  readonly position: Position;
  /** When it was sent for the first time, by `performance.now()`. */
  readonly sent: number;
}

export interface Listener {
  readonly name: string;
  readonly node: Node;
  readonly channel: string;
  readonly registered: Position;
  /** When it was registered, by `performance.now()`. */
  readonly since: number;
}

/** What is wrong, as sentences. */
export function problems(
  listeners: readonly Listener[],
  acknowledged: readonly Acknowledged[],
): string[] {
  const found: string[] = [];
  const texts = new Map<string, string>();
  const same = (channel: string, { epoch, offset }: Position, text: string, who: string): void => {
    const place = `${channel} ${epoch}-${offset}`;
    const known = texts.get(place) ?? text;
    texts.set(place, known);
    if (known !== text) found.push(`${place} is ${known} and, by ${who}, ${text}`);
  };
  for (const { channel, position, text } of acknowledged) same(channel, position, text, "answer");
  for (const listener of listeners) {
    const { channel, name, node } = listener;
    const report = (text: string) => found.push(`${name} ${channel}: ${text}`);
    const gaps: LogGap[] = [];
    const places = new Set<string>();
    const { registered } = listener;
    let last: Position = registered;
    let begun = false;
    for (const one of node.told) {
      if (one.channel !== channel || (one.kind !== "gap" && one.kind !== "entry")) continue;
      const first = one.kind === "gap" ? one.gap.after : { ...one, offset: one.offset - 1 };
      if (!begun && first?.epoch === registered.epoch && first.offset < registered.offset) {
        last = { epoch: first.epoch, offset: first.offset };
      }
      begun = true;
      if (one.kind === "gap") {
        if (show(one.gap.after) !== show(last)) {
          report(`a gap begins behind ${show(one.gap.after)} and not ${show(last)}`);
        }
        const changed = one.gap.reason === "epoch_changed";
        if (changed === (one.gap.until.epoch === last.epoch)) report(`a gap ${one.gap.reason}`);
        gaps.push(one.gap);
        last = one.gap.until;
      }
      if (one.kind === "gap") continue;
      const { epoch, offset, text } = one;
      same(channel, one, text, name);
      if (epoch !== last.epoch || offset !== last.offset + 1) {
        report(`${show(one)} comes behind ${show(last)}`);
      }
      places.add(show(one));
      last = { epoch, offset };
    }
    const epochs = new Set([listener.registered.epoch, ...gaps.map(({ until }) => until.epoch)]);
    for (const { channel: own, position, sent, text } of acknowledged) {
      if (own !== channel || sent < listener.since || places.has(show(position))) continue;
      // Of an epoch that nobody here ever heard of a change of epochs says enough.
      const unknown = !epochs.has(position.epoch) && gaps.some(changes);
      if (!unknown && !gaps.some((gap) => covers(gap, position))) {
        report(`${text} at ${show(position)} is missing`);
      }
    }
  }
  return found;
}

/** Texts that a node was told more than once. */
export function repeated(node: Node, channel: string): string[] {
  const texts = node.texts(channel);
  return texts.filter((text, i) => texts.indexOf(text) !== i);
}

function covers({ after, until }: LogGap, { epoch, offset }: Position): boolean {
  const behind = after?.epoch === epoch && offset > after.offset;
  const before = until.epoch === epoch && offset <= until.offset;
  return after?.epoch === until.epoch ? behind && before : behind || before;
}

function changes({ reason }: LogGap): boolean {
  return reason === "epoch_changed";
}

function show(position: Position | undefined): string {
  return position === undefined ? "nothing" : `${position.epoch}-${position.offset}`;
}
