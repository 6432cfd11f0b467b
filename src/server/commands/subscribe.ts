/** `subscribe`: prints what channels deliver. */
import { type Command, Option } from "commander";
import { isPattern } from "../../channels/names.ts";
import { matches } from "../../channels/patterns.ts";
import { type ReceivedMessage, receivedMessage } from "../../client/core/message.ts";
import { errorOf } from "../../client/core/requests.ts";
import type {
  OutboundFrame,
  Position,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireMessage,
} from "../../client/wire/frames.ts";
import type { MessagingError } from "../../protocol/errors.ts";
import {
  addConnectionOptions,
  type ConnectionOptions,
  type Listener,
  type Session,
  withConnection,
} from "./connection.ts";
import { EXIT_WRONG, Failure, oneLine } from "./failure.ts";
import { addHelp } from "./help.ts";
import {
  addJsonOption,
  dataText,
  gapJson,
  gapText,
  messageJson,
  type OutputOptions,
  positionJson,
  positionText,
  printJson,
  printNote,
  printRow,
} from "./output.ts";
import { eventId, type Place, wholeNumber } from "./values.ts";

const HELP = `
Each event is one line: its time, channel, id, type and data. What is said of the
subscriptions is on standard error: that they stand, what was recovered and what is
missing. With --json all of it is on standard output, an object a line:
  {id, channel, offset, epoch, time, replay, publisher, metadata, event}
      an event; its time is in Unix milliseconds
  {subscribed: [{channel, position}]}
      where each channel stood when it began
  {recovered: {channel, position, gap}}
      ends the replay; nothing is missing where gap is null
  {gap: {channel, reason, after, until}}
      what is missing while live
  {unsubscribed: [channel]}
      ended by the server

--since takes an event's id, the last one that you have, and prints what came after
it. Of several channels it names its own: --since chat.room=ID. Below a pattern it may
name any channel; the pattern's own position, as "subscribed" says it, brings the
channels that are new since then.

Exit codes: 0 after --count events, and on SIGINT and SIGTERM; 1 when the server cannot
be reached, refuses or goes away; 2 when the command line is wrong.

Examples:
  messageloop subscribe chat.room
  messageloop subscribe 'chat.**'
  messageloop subscribe chat.room --rewind 10
  messageloop subscribe chat.room --since 3kTzQ0aVbN7x-41
  messageloop subscribe orders payments --count 10 --proto
  messageloop subscribe chat.room --json | jq .event.data
`;

/** It brings what is printed beside events. */
const CAPABILITIES = ["recovery"];

interface Since {
  /** Undefined where the one channel of the command line is meant. */
  readonly channel: string | undefined;
  readonly position: Place;
}

interface SubscribeOptions extends ConnectionOptions, OutputOptions {
  readonly count?: number;
  readonly rewind?: number;
  readonly since?: readonly Since[];
}

/** An entry of the request. */
interface Entry extends SubscriptionRequest {
  since?: Position;
  readonly positions: Record<string, Position>;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .addOption(new Option("--count <n>", "end after so many events").argParser(wholeNumber))
    .addOption(
      new Option("--since <[channel=]id>", "begin after this event; may be repeated")
        .argParser(addSince)
        .conflicts("rewind"),
    )
    .addOption(
      new Option("--rewind <n>", "begin with the last n events of each channel").argParser(
        wholeNumber,
      ),
    );
  addHelp(addJsonOption(command), HELP).action(subscribe);
}

async function subscribe(channels: readonly string[], options: SubscribeOptions): Promise<void> {
  const entries = entriesOf(channels, options);
  const printer = new Printer(options);
  const work = async (session: Session): Promise<void> => {
    const signalled = new Promise<void>((resolve) => {
      // A second signal finds no handler and ends the process at once.
      process.once("SIGINT", () => resolve());
      process.once("SIGTERM", () => resolve());
    });
    await Promise.race([signalled, begin(session, entries, printer).then(() => printer.ended)]);
  };
  await withConnection(options, work, printer, CAPABILITIES);
}

/**
 * Subscribes to all of them.
 *
 * @throws Failure with a line for each that is refused
 */
async function begin(session: Session, subscriptions: Entry[], printer: Printer): Promise<void> {
  const [answer] = await session.request({ subscribe: { subscriptions } }, "subscribe_ack");
  const acknowledged = answer?.subscriptions ?? [];
  const refused = acknowledged.flatMap(({ channel, error }) => {
    if (error === undefined) return [];
    const { code, message } = errorOf(error);
    return [oneLine(`cannot subscribe to ${channel}: ${code}: ${message}`)];
  });
  if (refused.length > 0) throw new Failure(refused.join("\n"));
  printer.subscribed(acknowledged);
}

/** Prints what a session receives, and knows when that was enough. */
class Printer implements Listener {
  /** Resolves when there were as many events as wanted; rejects when the connection is lost first. */
  readonly ended: Promise<void>;
  readonly #json: boolean;
  #left: number;
  /** What comes in one packet with the acknowledgement is printed after it. */
  #waiting: OutboundFrame[] | undefined = [];
  #resolve: () => void = () => {};
  #reject: (error: Failure) => void = () => {};

  constructor({ json, count = Infinity }: SubscribeOptions) {
    this.#json = json === true;
    this.#left = count;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The connection may be lost before this is waited for.
    this.ended.catch(() => {});
  }

  subscribed(subscriptions: readonly SubscriptionAnswer[]): void {
    this.#subscribed(subscriptions);
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const frame of waiting) this.#frame(frame);
  }

  frame(frame: OutboundFrame): void {
    if (this.#waiting === undefined) this.#frame(frame);
    else this.#waiting.push(frame);
  }

  error(error: MessagingError): void {
    printNote(`${error.code}: ${error.message}`);
  }

  closed({ code, reason }: { readonly code: number; readonly reason: string }): void {
    this.#reject(new Failure(oneLine(`connection lost: ${code} ${reason}`)));
  }

  #frame({ publication, recovered, gap, subscribed, unsubscribed }: OutboundFrame): void {
    for (const message of publication?.messages ?? []) this.#message(message);
    if (subscribed !== undefined) this.#subscribed(subscribed.subscriptions ?? []);
    if (unsubscribed !== undefined) this.#unsubscribed(unsubscribed.subscriptions ?? []);
    if (recovered !== undefined) this.#recovered(recovered);
    if (gap !== undefined) {
      const { channel } = gap;
      if (this.#json) printJson({ gap: { channel, ...gapJson(gap) } });
      else printNote(`${channel}: ${gapText(gap)}`);
    }
  }

  #message(message: WireMessage): void {
    if (this.#left === 0) return;
    this.#left -= 1;
    const received = receivedMessage(message);
    if (this.#json) printJson(messageJson(received));
    else printRow(...messageCells(received));
    if (this.#left === 0) this.#resolve();
  }

  #recovered({ channel, position, gap }: NonNullable<OutboundFrame["recovered"]>): void {
    const missing = gap === undefined ? null : gapJson(gap);
    const told = { channel, position: positionJson(position), gap: missing };
    if (this.#json) printJson({ recovered: told });
    else printNote(`recovered ${channel}: ${gap ? gapText(gap) : "nothing is missing"}`);
  }

  #unsubscribed(subscriptions: readonly SubscriptionAnswer[]): void {
    const channels = subscriptions.map(({ channel }) => channel);
    if (this.#json) printJson({ unsubscribed: channels });
    else printNote(`the server has ended ${channels.join(", ")}`);
  }

  #subscribed(subscriptions: readonly SubscriptionAnswer[]): void {
    if (this.#json) {
      printJson({
        subscribed: subscriptions.map(({ channel, position }) => ({
          channel,
          position: positionJson(position),
        })),
      });
      return;
    }
    const places = subscriptions.map(({ channel = "", position }) =>
      position === undefined ? channel : `${channel} at ${positionText(position)}`,
    );
    printNote(`subscribed to ${places.join(", ")}`);
  }
}

function messageCells({ time, channel, id, event }: ReceivedMessage): string[] {
  return [new Date(time).toISOString(), channel, id, event.type, dataText(event)];
}

/**
 * What is asked for each channel.
 *
 * @throws Failure where a position is for nothing that is subscribed to
 */
function entriesOf(
  channels: readonly string[],
  { since = [], rewind = 0 }: SubscribeOptions,
): Entry[] {
  const entries = channels.map((channel): Entry => ({ channel, rewind, positions: {} }));
  for (const { channel = only(channels), position: place } of since) {
    const position = { epoch: place.epoch, offset: Number(place.offset) };
    const exact = entries.filter((entry) => entry.channel === channel);
    for (const entry of exact) entry.since = position;
    if (exact.length > 0) continue;
    const patterns = entries.filter(
      (entry) => isPattern(entry.channel) && matches(entry.channel, channel),
    );
    for (const { positions } of patterns) positions[channel] = position;
    if (patterns.length > 0) continue;
    throw new Failure(`--since names ${channel}, which is not subscribed to`, EXIT_WRONG);
  }
  return entries;
}

function only(channels: readonly string[]): string {
  const [channel, ...others] = channels;
  if (channel !== undefined && others.length === 0) return channel;
  throw new Failure("--since has to name its channel: --since chat.room=ID", EXIT_WRONG);
}

function addSince(text: string, before: readonly Since[] | undefined): Since[] {
  const at = text.lastIndexOf("=");
  const channel = at < 0 ? undefined : text.slice(0, at);
  return [...(before ?? []), { channel, position: eventId(text.slice(at + 1)) }];
}
