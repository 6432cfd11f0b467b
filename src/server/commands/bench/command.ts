/** `bench`: a small load test of a server. */
import { randomBytes } from "node:crypto";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { channelProblem } from "../../../channels/names.ts";
import { addTokenOptions, webSocketUrl } from "../connection.ts";
import { EXIT_FAILED, EXIT_WRONG, Failure } from "../failure.ts";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printRow } from "../output.ts";
import { type BenchOptions, type BenchResult, bench } from "./run.ts";
import { MAX_DELIVERIES } from "./tally.ts";

const HELP = `
It connects subscribers and publishers by WebSocket, publishes at the rate for the time,
and counts each delivery. Latency is from the moment at which an event was to be published
until a subscriber has it, so that a server that holds up publishes shows. Lost are
deliveries of acknowledged events that have not come within three seconds of the last one.

All clients are in this one process. It says what part of a CPU it took itself, and how
late it was: near one whole CPU the figures are its own, and not the server's. Bounds of
the server hold for it as for any client: one publisher may publish as often as
limits.publishes_per_second says.

Publishing to a server that others use is load for them. The channels have names of their
own, unless --channel gives them, and are forgotten when their position ttl has passed.

Exit codes: 0 when everything published was delivered once; 1 when something was refused,
lost or delivered twice, a connection ended, or the server cannot be reached; 2 when the
command line is wrong.

Examples:
  messageloop bench ws://localhost:9080/ws
  messageloop bench ws://localhost:9080/ws --subscribers 200 --rate 500
  messageloop bench wss://realtime.example/ws --json | jq .latency.p99
`;

/** What a mistyped number must not do to a server or to this machine. */
const MOST = {
  subscribers: 2_000,
  publishers: 100,
  channels: 1_000,
  rate: 20_000,
  seconds: 600,
  size: 32_768,
};

interface Options extends Omit<BenchOptions, "url" | "channel">, OutputOptions {
  readonly channel?: string;
}

export function configure(command: Command): void {
  const url = new Argument("<url>", "the server's WebSocket endpoint");
  command.addArgument(url.argParser(webSocketUrl));
  const number = (flag: keyof typeof MOST, text: string, preset: number): Option =>
    new Option(`--${flag} <n>`, `${text}, at most ${MOST[flag]}`)
      .argParser((value) => numberUpTo(value, MOST[flag]))
      .default(preset);
  addTokenOptions(command)
    .addOption(number("subscribers", "connections that subscribe", 10))
    .addOption(number("publishers", "connections that publish", 1))
    .addOption(number("channels", "channels, over which both are spread", 1))
    .addOption(number("rate", "publishes a second, of all together", 20))
    .addOption(number("seconds", "how long to publish", 10))
    .addOption(number("size", "bytes of an event's data", 128))
    .option("--channel <name>", "what the channels' names begin with (default: a random one)");
  addHelp(addJsonOption(command), HELP).action(run);
}

async function run(url: string, options: Options): Promise<void> {
  const { subscribers, channels, rate, seconds, json } = options;
  const deliveries = subscribers * Math.ceil((rate * seconds) / channels);
  if (deliveries > MAX_DELIVERIES) {
    const text = `that would be ${deliveries} deliveries, and at most ${MAX_DELIVERIES} are counted`;
    throw new Failure(text, EXIT_WRONG);
  }
  const channel = options.channel ?? `bench.${randomBytes(6).toString("hex")}`;
  const problem = channelProblem(`${channel}.${MOST.channels}`);
  if (problem !== undefined) throw new Failure(problem, EXIT_WRONG);
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // What there is by then is printed. A second signal finds no handler and ends the process at once.
    process.once(signal, () => ended.abort());
  }
  const result = await bench({ ...options, url, channel }, ended.signal);
  if (json === true) printJson(result);
  else for (const [name, text] of rowsOf(result, options)) printRow(name.padEnd(12), text);
  if (!isWhole(result)) process.exitCode = EXIT_FAILED;
}

function isWhole({ lost, duplicates, strange, refused, closed, ...rest }: BenchResult): boolean {
  const none = (counts: object): boolean => Object.keys(counts).length === 0;
  const clean = lost + duplicates + strange === 0 && none(refused) && none(closed);
  return clean && rest.publishes > 0 && rest.acknowledged === rest.publishes;
}

function rowsOf(result: BenchResult, { subscribers, publishers, channels, rate }: Options) {
  const { acknowledged, closed, deliveries, latency, refused, self } = result;
  const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
  const rows: [string, string][] = [
    ["clients", `subscribers ${subscribers}, publishers ${publishers}, channels ${channels}`],
    [
      "publishes/s",
      `${result.publishesPerSecond.toFixed(1)} of ${rate}, ${acknowledged} acknowledged`,
    ],
    [
      "deliveries/s",
      `${result.deliveriesPerSecond.toFixed(1)}, ${deliveries} in ${result.seconds.toFixed(1)} s`,
    ],
    [
      "latency",
      latency === null
        ? "nothing was delivered"
        : `p50 ${ms(latency.p50)} ms, p99 ${ms(latency.p99)} ms, max ${ms(latency.max)} ms`,
    ],
    ["lost", `${result.lost}`],
    ["duplicates", `${result.duplicates}`],
  ];
  if (result.strange > 0) rows.push(["strange", `${result.strange} were not published here`]);
  for (const [code, count] of Object.entries(refused)) rows.push(["refused", `${count} ${code}`]);
  for (const [code, count] of Object.entries(closed))
    rows.push(["closed", `${count} with ${code}`]);
  const busy = self.cpu > 0.8 ? ": it may be what was measured" : "";
  rows.push([
    "this process",
    `${Math.round(self.cpu * 100)} % of a CPU, ${ms(self.late)} ms late at most${busy}`,
  ]);
  return rows;
}

function numberUpTo(text: string, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
}
