/** `rpc`: one question to the application's backend. */
import { type Command, Option } from "commander";
import { addConnectionOptions, type ConnectionOptions, withConnection } from "./connection.ts";
import { addEventOptions, DATA_HELP, type EventOptions, eventOf, readInput } from "./events.ts";
import { addHelp } from "./help.ts";
import {
  addJsonOption,
  dataText,
  eventJson,
  type OutputOptions,
  printJson,
  printRow,
} from "./output.ts";
import { duration } from "./values.ts";

const HELP = `
It prints type and data of the event that the backend answers, with --json the whole
event; a server without a backend sends the event back. Without DATA the event has none.
${DATA_HELP}

Exit codes: 0 with an answer; 1 when the server cannot be reached or there is an error,
which is one line on standard error with its code first; 2 when the command line is wrong.

Examples:
  messageloop rpc users.42 profile.get
  messageloop rpc cart add '{"sku":"a-1"}' --timeout 5s
`;

/** Timers count in 31 bits. */
const LONGEST_MS = 2 ** 31 - 1;

interface RpcOptions extends EventOptions, ConnectionOptions, OutputOptions {
  /** Milliseconds; undefined as long as backends have by default. */
  readonly timeout?: number;
}

export function configure(command: Command): void {
  addEventOptions(command, "the method");
  addConnectionOptions(command).addOption(
    new Option("--timeout <duration>", "how long to wait for the answer (default: 35s)").argParser(
      duration(1, LONGEST_MS, "such as 5s"),
    ),
  );
  addHelp(addJsonOption(command), HELP).action(rpc);
}

async function rpc(
  channel: string,
  method: string,
  data: string | undefined,
  options: RpcOptions,
): Promise<void> {
  const event = eventOf(options, method, data === "-" ? await readInput() : data);
  await withConnection(options, async (session) => {
    const answer = await session.rpc(channel, method, event, options.timeout);
    if (options.json) printJson(eventJson(answer));
    else printRow(answer.type, dataText(answer));
  });
}
