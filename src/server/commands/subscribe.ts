/** `subscribe`: prints what channels deliver. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { MessageLoopClient, ReceivedMessage } from "../../client/client.ts";
import { withAutoSubscribe } from "../../client/options.ts";
import { addConnectionOptions, type ConnectionOptions, withConnection } from "./connection.ts";
import { eventJson, printLine } from "./events.ts";
import { Failure, oneLine } from "./failure.ts";

const HELP = `
Each event is one JSON line, {channel, offset, epoch, time, publisher, event}; time is in Unix
milliseconds. Once the subscriptions stand, a line on standard error says so. It ends with 0
after --count events or on SIGINT and SIGTERM, and with 1 and one line when the connection is
lost.

Examples:
  messageloop subscribe chat.room
  messageloop subscribe 'chat.**'
  messageloop subscribe orders payments --count 10 --proto
  messageloop subscribe chat.room | jq .event.data
`;

interface SubscribeOptions extends ConnectionOptions {
  readonly count?: number;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .addOption(new Option("--count <n>", "end after so many events").argParser(wholeNumber))
    .addHelpText("after", HELP)
    .action(subscribe);
}

async function subscribe(channels: readonly string[], options: SubscribeOptions): Promise<void> {
  await withConnection(options, [withAutoSubscribe(...channels)], async (client) => {
    const signalled = new Promise<void>((resolve) => {
      // A second signal finds no handler and ends the process at once.
      process.once("SIGINT", () => resolve());
      process.once("SIGTERM", () => resolve());
    });
    process.stderr.write(`subscribed to ${channels.join(", ")}\n`);
    await Promise.race([signalled, printed(client, options.count ?? Infinity)]);
  });
}

/** Prints events until there were as many as wanted; rejects when the connection is lost first. */
function printed(client: MessageLoopClient, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = count;
    client.onMessage((messages) => {
      for (const message of messages) {
        if (left === 0) return;
        printLine(line(message));
        left -= 1;
      }
      if (left === 0) resolve();
    });
    client.onClosed(({ code, reason }) => {
      reject(new Failure(oneLine(`connection lost: ${code} ${reason}`)));
    });
  });
}

function line({ channel, offset, epoch, time, publisher, event }: ReceivedMessage): object {
  return {
    channel,
    offset: Number(offset),
    epoch,
    time,
    publisher,
    event: eventJson(event),
  };
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError("It must be a whole number of at least 1.");
}
