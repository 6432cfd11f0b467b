/** `publish`: one event into a channel. */
import type { Command } from "commander";
import { addConnectionOptions, type ConnectionOptions, withConnection } from "./connection.ts";
import {
  addEventOptions,
  DATA_HELP,
  type EventOptions,
  eventOf,
  printLine,
  readInput,
} from "./events.ts";

const TYPE = "message";

const HELP = `
It prints where the event stands as one JSON line, {channel, offset, epoch, duplicate}, once the
server has it in the channel's log. Without DATA it reads standard input.
${DATA_HELP}
A refusal is one line on standard error, and the exit code is 1.

Examples:
  messageloop publish chat.room 'hello'
  messageloop publish chat.room '{"text":"hi"}' --type chat.message --content-type application/json
  date | messageloop publish clock --url wss://realtime.example/ws
`;

export function configure(command: Command): void {
  addConnectionOptions(addEventOptions(command, TYPE)).addHelpText("after", HELP).action(publish);
}

async function publish(
  channel: string,
  data: string | undefined,
  options: EventOptions & ConnectionOptions,
): Promise<void> {
  const read = data === undefined || data === "-";
  const event = eventOf(options, TYPE, read ? await readInput() : data);
  await withConnection(options, [], async (client) => {
    const { offset, epoch, duplicate } = await client.publish(channel, event);
    printLine({ channel, offset: Number(offset), epoch, duplicate });
  });
}
