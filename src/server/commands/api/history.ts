/** `history`: prints what a channel's log has. */
import { type Command, Option } from "commander";
import type { ReceivedMessage } from "../../../client/core/message.ts";
import { fromWireEvent } from "../../../client/v0/events.ts";
import type { Message, StreamPosition } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { addHelp } from "../help.ts";
import {
  addJsonOption,
  dataText,
  gapJson,
  gapText,
  messageJson,
  type OutputOptions,
  positionJson,
  printJson,
  printNote,
  printRow,
} from "../output.ts";
import { eventId, type Place, wholeNumber } from "../values.ts";
import { type Api, withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
Each event is one line: its time, id, type and data. What is missing is on standard error.
With --json all of it is on standard output, an object a line:
  {id, channel, offset, epoch, time, replay, publisher, metadata, event}
      an event; its time is in Unix milliseconds
  {gap: {channel, reason, after, until}}
      what is missing after --since
  {head: {epoch, offset}}
      the last place of the log, at the end

${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop history chat.room
  messageloop history chat.room --reverse --limit 10
  messageloop history chat.room --since 3kTzQ0aVbN7x-41 --key-file ~/.key
  messageloop history chat.room --json --api https://realtime.example
`;

/** As many as an answer has at most. */
const PAGE = 1_000;

interface HistoryOptions extends ApiOptions, OutputOptions {
  readonly since?: Place;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export function configure(command: Command): void {
  command
    .addOption(new Option("--since <id>", "begin after this event").argParser(eventId))
    .option("--reverse", "the newest first; with --since those before it")
    .addOption(new Option("--limit <n>", "at most so many (default: all)").argParser(wholeNumber));
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(history);
}

async function history(channel: string, options: HistoryOptions): Promise<void> {
  const head = await withApi(options, (api) => printAll(api, channel, options));
  if (options.json) printJson({ head: positionJson(head) });
}

/** Prints page by page, and then where the log ends. */
async function printAll(
  api: Api,
  channel: string,
  { json, limit = Infinity, reverse = false, ...options }: HistoryOptions,
): Promise<StreamPosition | undefined> {
  let since = options.since;
  let left = limit;
  for (;;) {
    const page = await api.history({
      channel,
      reverse,
      limit: Math.min(left, PAGE),
      ...(since === undefined ? {} : { since }),
    });
    const { gap, messages, more, position } = page;
    if (gap !== undefined) {
      if (json) printJson({ gap: { channel, ...gapJson(gap) } });
      else printNote(`${channel}: ${gapText(gap)}`);
    }
    for (const message of messages) print(message, json === true);
    left -= messages.length;
    const last = messages.at(-1);
    if (!more || last === undefined || left <= 0) return position;
    since = { epoch: last.epoch, offset: last.offset };
  }
}

function print(message: Message, json: boolean): void {
  const received = receivedMessage(message);
  if (json) printJson(messageJson(received));
  else {
    const { time, id, event } = received;
    printRow(new Date(time).toISOString(), id, event.type, dataText(event));
  }
}

/** A message of the server API as applications see it. */
function receivedMessage(message: Message): ReceivedMessage {
  const { id, channel, epoch, replay, metadata } = message;
  const { clientId = "", userId = "", sessionId = "" } = message.publisher ?? {};
  const event = message.payload
    ? fromWireEvent(message.payload)
    : { id: "", source: "", specversion: "1.0", type: "" };
  return {
    ...{ id, channel, epoch, replay, metadata },
    offset: Number(message.offset),
    time: Number(message.time),
    publisher: { clientId, userId, sessionId },
    data: event.data,
    event,
  };
}
