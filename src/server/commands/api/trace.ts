/** `trace`: prints the frames of a user, or of a channel, as they come. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../../../engine/settings/duration.ts";
import type { TracedFrame } from "../../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_TRACE_MS } from "../../../protocol/limits.ts";
import { EXIT_WRONG, Failure } from "../failure.ts";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printNote, printRow } from "../output.ts";
import { withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
Each frame is one line: when, > for one of the client's and < for one of the server's, its
kind, its bytes, what became of it, its channel, its id, and whose session it is. What
became of it is the code of an error, the close code of a session that has ended, or sent
or taken. Tokens are never shown, and events with --payloads alone.
It ends by itself after --for, 1m unless that says something else and 10m at most.
With --json each frame is one object,
  {time, inbound, kind, bytes, outcome, channel, id, sessionId, userId, clientId, payload}
with times in Unix milliseconds.

The key needs the right trace, with --payloads trace-payloads as well: in the channel, or
for a user in all channels.
${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop trace --user ada
  messageloop trace --channel chat.room --payloads --for 5m --json
`;

interface TraceOptions extends ApiOptions, OutputOptions {
  readonly user?: string;
  readonly channel?: string;
  readonly payloads?: true;
  readonly for: number;
}

export function configure(command: Command): void {
  command
    .addOption(new Option("--user <user>", "of whose sessions"))
    .addOption(new Option("--channel <channel>", "frames that name it"))
    .option("--payloads", "print the events in frames as well")
    .addOption(
      new Option("--for <duration>", "how long").argParser(duration).default(60_000, "1m"),
    );
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(trace);
}

async function trace(options: TraceOptions): Promise<void> {
  const { user = "", channel = "", payloads = false, json } = options;
  if ((user === "") === (channel === "")) {
    throw new Failure("name either --user or --channel", EXIT_WRONG);
  }
  const asked = { user, channel, payloads, durationMs: options.for };
  await withApi(options, async (api) => {
    for (let traceId = ""; ; ) {
      const answer = await api.trace({ ...asked, traceId });
      for (const frame of answer.frames) {
        if (json) printJson(jsonOf(frame));
        else print(frame);
      }
      if (answer.leftOut > 0n) printNote(`${answer.leftOut} frames were left out`);
      for (const node of answer.unreached) printNote(`the node ${node} has not answered`);
      if (answer.ended) return;
      traceId = answer.traceId;
    }
  });
}

function print(frame: TracedFrame): void {
  const { time, inbound, kind, bytes, outcome, channel, id, payload } = frame;
  printRow(
    new Date(Number(time)).toISOString(),
    inbound ? ">" : "<",
    kind || "unreadable",
    `${bytes}`,
    outcome,
    channel,
    id,
    ...[
      cell("user", frame.userId),
      cell("client", frame.clientId),
      cell("session", frame.sessionId),
    ],
    payload,
  );
}

function jsonOf({
  time,
  inbound,
  kind,
  bytes,
  outcome,
  channel,
  id,
  ...frame
}: TracedFrame): object {
  const { sessionId, userId, clientId, payload } = frame;
  const whose = { sessionId, userId, clientId };
  const told = { time: Number(time), inbound, kind, bytes, outcome, channel, id, ...whose };
  return payload === "" ? told : { ...told, payload };
}

function cell(kind: string, name: string): string {
  return name === "" ? "" : `${kind} ${name}`;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1 && ms <= MAX_TRACE_MS) return ms;
  throw new InvalidArgumentError("It must be a duration such as 90s, 10m at most.");
}
