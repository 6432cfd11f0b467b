/** `rpc`: one question to the application's backend. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../../engine/settings/duration.ts";
import { addConnectionOptions, type ConnectionOptions, withConnection } from "./connection.ts";
import {
  addEventOptions,
  DATA_HELP,
  type EventOptions,
  eventJson,
  eventOf,
  printLine,
  readInput,
} from "./events.ts";

const HELP = `
It prints the event that the backend answers as one JSON line; a server without a backend sends
the event back. Without DATA the event has none.
${DATA_HELP}
An error is one line on standard error, its code first, and the exit code is 1.

Examples:
  messageloop rpc users.42 profile.get
  messageloop rpc cart add '{"sku":"a-1"}' --content-type application/json --timeout 5s
`;

interface RpcOptions extends EventOptions, ConnectionOptions {
  /** Milliseconds; undefined leaves it to the SDK. */
  readonly timeout?: number;
}

export function configure(command: Command): void {
  addConnectionOptions(addEventOptions(command, "the method"))
    .addOption(
      new Option(
        "--timeout <duration>",
        "how long to wait for the answer (default: 35s)",
      ).argParser(timeout),
    )
    .addHelpText("after", HELP)
    .action(rpc);
}

async function rpc(
  channel: string,
  method: string,
  data: string | undefined,
  options: RpcOptions,
): Promise<void> {
  const event = eventOf(options, method, data === "-" ? await readInput() : data);
  const terms = options.timeout === undefined ? {} : { timeoutMs: options.timeout };
  await withConnection(options, [], async (client) => {
    printLine(eventJson(await client.rpc(channel, method, event, terms)));
  });
}

/** Timers count in 31 bits. */
const LONGEST_MS = 2 ** 31 - 1;

function timeout(text: string): number {
  const ms = parseDuration(text) ?? 0;
  if (ms >= 1 && ms <= LONGEST_MS) return ms;
  throw new InvalidArgumentError("It must be a duration such as 5s.");
}
