/** `top`: what servers do now, as a table that is drawn again and again. */
import { setTimeout as sleep } from "node:timers/promises";
import { Argument, type Command, Option } from "commander";
import { keyIfAny } from "../api/connection.ts";
import { type ApiOptions, apiAddress, DEFAULT_API, keyFileOption } from "../api/options.ts";
import { EXIT_FAILED } from "../failure.ts";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson } from "../output.ts";
import { duration } from "../values.ts";
import { figuresOf, type NodeFigures, readNodes } from "./reading.ts";
import { isScreen, Screen } from "./screen.ts";
import { DEFAULT_WIDTH, type Line, tableOf } from "./table.ts";

const HELP = `
It reads the metrics of servers: of each process of a self-hosted server by its admin
address, and of Workers by their own, with a key that may read. One line is one process,
or one region of Workers: sessions, channels, publications and deliveries a second,
memory, and how late 99 of 100 timers were at most. "-" is what a host does not say.

On a terminal the table is drawn again at each interval until Ctrl-C; 60 columns are
enough. Elsewhere each table follows the one before. With --once it reads twice, one
interval apart, prints one table, and ends; with --json a line for each node, {node,
problem, sessions, channels, publicationsPerSecond, deliveriesPerSecond, memoryBytes,
lagSeconds}, null for what is not known. Where NO_COLOR is set there are no colours.

A key is sent where --key-file or MESSAGELOOP_API_KEY has one.

Exit codes: 0 when it was ended; 1 with --once when a server could not be read; 2 when the
command line is wrong.

Examples:
  messageloop top
  messageloop top http://10.0.0.5:8080 http://10.0.0.6:8080 --interval 5s
  messageloop top https://realtime.example --key-file reader.key
  messageloop top --once --json | jq .sessions
`;

const intervals = duration(500, 3_600_000, "from 500ms to 1h, such as 2s");

interface TopOptions extends OutputOptions, Pick<ApiOptions, "keyFile"> {
  readonly interval: number;
  readonly once?: true;
}

export function configure(command: Command): void {
  const interval = new Option("--interval <duration>", "between two looks");
  const addresses = new Argument("[addresses...]", "where servers have their metrics");
  command
    .addArgument(addresses.argParser(addAddress).default(undefined, DEFAULT_API))
    .addOption(interval.argParser(intervals).default(2_000, "2s"))
    .option("--once", "print one table and end")
    .addOption(keyFileOption());
  addHelp(addJsonOption(command), HELP).action(top);
}

async function top(given: readonly string[] | undefined, options: TopOptions): Promise<void> {
  const addresses = given ?? [DEFAULT_API];
  const { interval, keyFile } = options;
  const key = await keyIfAny(addresses, keyFile);
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // A second signal finds no handler and ends the process at once.
    process.once(signal, () => ended.abort());
  }
  const show = showing(options, addresses);
  let before = await readNodes(addresses, key, ended.signal);
  // There are no rates yet, and a person wants to see that something happens.
  if (options.once !== true && options.json !== true) show(figuresOf(before, []));
  while (await waited(interval, ended.signal)) {
    const now = await readNodes(addresses, key, ended.signal);
    if (ended.signal.aborted) return;
    const nodes = figuresOf(now, before);
    before = now;
    show(nodes);
    if (options.once !== true) continue;
    if (nodes.some(({ problem }) => problem !== undefined)) process.exitCode = EXIT_FAILED;
    return;
  }
}

/** How tables are shown: as JSON, on a screen, or one after the other. */
function showing(
  { interval, json, once }: TopOptions,
  addresses: readonly string[],
): (nodes: readonly NodeFigures[]) => void {
  if (json === true) {
    return (nodes) => {
      for (const node of nodes) printJson(nulled(node));
    };
  }
  const { stdout } = process;
  const width = (): number => stdout.columns ?? DEFAULT_WIDTH;
  if (once === true || !isScreen(stdout)) {
    return (nodes) => {
      const text = tableOf(nodes, width()).map((line) => `${line.text}\n`);
      stdout.write(`${text.join("")}${once === true ? "" : "\n"}`);
    };
  }
  const screen = new Screen(stdout, (process.env["NO_COLOR"] ?? "") === "");
  let shown: readonly NodeFigures[] = [];
  const draw = (): void => {
    const title = `messageloop top  ${new Date().toTimeString().slice(0, 8)}  every ${interval / 1_000} s`;
    const head: Line[] = [
      { kind: "total", text: `${title}  ${addresses.length} asked`.slice(0, width()) },
      { kind: "node", text: "" },
    ];
    screen.draw([...head, ...tableOf(shown, width())]);
  };
  stdout.on("resize", draw);
  return (nodes) => {
    shown = nodes;
    draw();
  };
}

/** What is not known is null: a field is never left out. */
function nulled(node: NodeFigures): object {
  const known = (value: unknown): unknown => (value === Infinity ? null : (value ?? null));
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, known(value)]));
}

/** Returns whether the time has passed before the end came. */
async function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

function addAddress(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), apiAddress(text)];
}
