/**
 * CloudEvents from the SDKs for JavaScript, Go and Python, in all three modes: what a subscriber is sent is what
 * was published, attribute for attribute, but for what an SDK itself does not put on the wire.
 */
import { isDeepStrictEqual } from "node:util";
import { WebSocket } from "ws";
import type { CloudEvent } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { Client } from "../../test/support/client.ts";
import {
  type Arrived,
  arrived,
  CASES_FILE,
  EVENT_CASES,
  MODES,
  type Mode,
  type Sdk,
  wanted,
  withoutInventedTime,
} from "../../test/support/cloudevents.ts";
import type { Report } from "../report.ts";
import { type DoorHost, startHost } from "./host.ts";
import { type DoorOptions, type Workshop, workshop } from "./part.ts";

/** How an SDK's program is called, with the arguments of each mode behind it. */
interface Sender {
  readonly sdk: Sdk;
  send(args: readonly string[]): Promise<string>;
}

/** What a program prints for a request. */
interface Answer {
  readonly name: string;
  readonly status?: number;
  readonly body?: string;
  /** The SDK, or what it sends by, could not send it. */
  readonly error?: string;
}

/** Events that an SDK cannot send in a mode: `fetch` takes no character beyond Latin-1 in a header. */
const UNSENDABLE: readonly (readonly [Sdk, Mode, string])[] = [["js", "binary", "everything"]];

export async function cloudEvents(report: Report, { hosts, plant }: DoorOptions): Promise<void> {
  const folders: Workshop[] = [];
  try {
    const senders = await installed(report, folders);
    for (const name of hosts) {
      const host = await startHost(name);
      try {
        for (const sender of senders) {
          for (const mode of MODES) await compare(report, host, sender, mode, plant);
        }
      } finally {
        await host.stop();
      }
    }
  } finally {
    for (const folder of folders) await folder.remove();
  }
}

async function installed(report: Report, folders: Workshop[]): Promise<Sender[]> {
  const open = async (name: string): Promise<Workshop> => {
    const folder = await workshop(`cloudevents/${name}`);
    folders.push(folder);
    return folder;
  };
  const js = await open("js");
  await js.run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
  const go = await open("go");
  await go.run("go", ["build", "-mod=readonly", "-buildvcs=false", "-o", "send", "."]);
  const python = await open("python");
  await python.run("python3", ["-m", "venv", "env"]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const locked = ["--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"];
  await python.run("env/bin/python", [...pip, ...locked]);
  report.say("the SDKs for JavaScript, Go and Python are installed");
  return [
    { sdk: "js", send: (args) => js.run(process.execPath, ["send.mjs", ...args]) },
    {
      sdk: "js-encoded",
      send: (args) => js.run(process.execPath, ["send.mjs", ...args, "encode"]),
    },
    { sdk: "go", send: (args) => go.run("./send", args) },
    { sdk: "python", send: (args) => python.run("env/bin/python", ["send.py", ...args]) },
  ];
}

async function compare(
  report: Report,
  host: DoorHost,
  { sdk, send }: Sender,
  mode: Mode,
  plant: boolean,
): Promise<void> {
  const channel = `check/${sdk}.${mode}`;
  const socket = new WebSocket(host.socket, ["messageloop+proto"]);
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended: true });
  await client.connect();
  await client.subscribe(channel);
  const url = `${host.api}/channels/${encodeURIComponent(channel)}`;
  const { pathname } = CASES_FILE;
  const printed = await send([decodeURIComponent(pathname), url, host.key, mode]);
  const answers = printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer);
  const cases = EVENT_CASES.filter(
    ({ name }) => !UNSENDABLE.some((one) => isDeepStrictEqual(one, [sdk, mode, name])),
  );
  const refused = answers.filter(
    ({ name, status }) =>
      status !== 200 && (mode === "batch" || cases.some((one) => one.name === name)),
  );
  const messages = refused.length > 0 ? [] : await client.received(cases.length);
  const differences = messages.flatMap(({ payload }, i) => {
    const one = cases[i];
    if (one === undefined || payload === undefined) return ["more than was sent"];
    const event = withoutInventedTime(arrived(plant ? spoilt(payload) : payload), one);
    const right = wanted(one, sdk, mode);
    return isDeepStrictEqual(event, right) ? [] : [differing(one.name, event, right)];
  });
  socket.terminate();
  report.expect(
    refused.length === 0 && differences.length === 0,
    [
      `${host.name}, ${sdk}, ${mode}: ${messages.length - differences.length} of ${cases.length} events arrived as they were sent`,
      ...refused.map((answer) => JSON.stringify(answer)),
      ...differences,
    ].join("\n"),
  );
}

function differing(name: string, event: Arrived, right: Arrived): string {
  const shown = (value: Arrived): string =>
    JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));
  return `${name}: ${shown(event)}\n  and not ${shown(right)}`;
}

/** The fault that is built in: a time as a Date has it. */
function spoilt(event: CloudEvent): CloudEvent {
  const time = event.attributes["time"]?.attr;
  if (time?.case === "ceTimestamp") time.value.nanos -= time.value.nanos % 1_000_000;
  return event;
}
