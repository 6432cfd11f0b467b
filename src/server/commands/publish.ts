/** `publish`: one event into a channel. */
import type { Command } from "commander";
import { apiOption, EXIT_HELP, KEY_HELP, keyFileOption } from "./api/options.ts";
import type { publishByApi } from "./api/publish.ts";
import { addConnectionOptions, type ConnectionOptions, withConnection } from "./connection.ts";
import { addEventOptions, DATA_HELP, type EventOptions, eventOf, readInput } from "./events.ts";
import { EXIT_WRONG, Failure } from "./failure.ts";
import { addHelp } from "./help.ts";
import { addJsonOption, type OutputOptions, positionText, printJson, printRow } from "./output.ts";

const TYPE = "message";

const HELP = `
It prints the channel and the message's id once the server has the event in the channel's
log, and "duplicate" where it was there before; with --json {channel, offset, epoch,
duplicate}. Without DATA it reads standard input.
${DATA_HELP}

With --api it publishes by the server API, as an application's backend does: no user is
authenticated, and what this key has published before, by source and id, is not published
again. ${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop publish chat.room 'hello'
  messageloop publish chat.room '{"text":"hi"}' --content-type application/json
  date | messageloop publish clock --url wss://realtime.example/ws
  messageloop publish chat.room 'hello' --api http://localhost:8080
`;

interface PublishOptions extends EventOptions, ConnectionOptions, OutputOptions {
  readonly api?: string;
  readonly keyFile?: string;
  readonly transient?: true;
  readonly dedup: boolean;
}

export function configure(command: Command): void {
  addEventOptions(command, TYPE);
  addConnectionOptions(command)
    .addOption(apiOption().conflicts(["url", "proto"]))
    .addOption(keyFileOption())
    .option("--transient", "with --api: deliver to who is subscribed now, outside of the log")
    .option("--no-dedup", "with --api: publish again what was published before");
  addHelp(addJsonOption(command), HELP).action(publish);
}

async function publish(
  channel: string,
  data: string | undefined,
  options: PublishOptions,
): Promise<void> {
  const { api, keyFile, transient = false, dedup, json } = options;
  if (api === undefined && (keyFile !== undefined || transient || !dedup)) {
    throw new Failure("--key-file, --transient and --no-dedup need --api", EXIT_WRONG);
  }
  const read = data === undefined || data === "-";
  const event = eventOf(options, TYPE, read ? await readInput() : data);
  const place =
    api === undefined
      ? await withConnection(options, (session) => session.publish(channel, event))
      : await byApi({ ...options, api }, channel, event, { transient, dedup });
  if (place === undefined) {
    if (json) printJson({ channel, transient });
    else printRow(channel, "transient");
    return;
  }
  const { offset, epoch, duplicate } = place;
  if (json) printJson({ channel, offset: Number(offset), epoch, duplicate });
  else printRow(channel, positionText({ epoch, offset }), duplicate ? "duplicate" : "");
}

/** Most publishes need nothing of the library that calls the API. */
async function byApi(...all: Parameters<typeof publishByApi>): ReturnType<typeof publishByApi> {
  const { publishByApi: publishing } = await import("./api/publish.ts");
  return await publishing(...all);
}
