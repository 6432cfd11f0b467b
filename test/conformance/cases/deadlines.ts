/** Deadlines that clients give their streams, however long. */
import assert from "node:assert/strict";
import { sleep } from "../../support/eventually.ts";
import { type Case, type Context, ONE } from "../case.ts";

const OPEN = "/messageloop.v1.MessagingService/Open";
const MONTH_MS = 30 * 24 * 3_600_000;
const SHORT_MS = 300;
/** The library's timer for a month ended a stream after less than a tenth of a second. */
const LONG_ENOUGH_MS = 500;

/** How each protocol writes a deadline, and says that it has passed. */
const PROTOCOLS = [
  {
    contentType: "application/connect+json",
    deadline: (ms: number) => ({ "Connect-Timeout-Ms": `${ms}` }),
    passed: /"code":"deadline_exceeded"/,
  },
  {
    contentType: "application/grpc-web+json",
    deadline: (ms: number) =>
      ({ "Grpc-Timeout": ms === MONTH_MS ? "43200M" : `${ms}m` }) as Record<string, string>,
    passed: /grpc-status: 4\b/,
  },
] as const;

/** An answer of Open, as it comes. */
async function open(
  { server }: Context,
  contentType: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly text: () => string; readonly ended: Promise<void> }> {
  const connect = new TextEncoder().encode('{"client_id":"deadline"}');
  const body = new Uint8Array([0, 0, 0, 0, connect.length, ...connect]);
  const { origin } = new URL(server.url.replace(/^ws/, "http"));
  const init = { method: "POST", headers: { "Content-Type": contentType, ...headers }, body };
  const response = await fetch(`${origin}${OPEN}`, { ...init, signal });
  let text = "";
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk);
  };
  return { text: () => text, ended: read() };
}

export const deadlineCases: readonly Case[] = [
  {
    rules: ["G16"],
    title: "a stream ends at its deadline, and one of a month goes on",
    // Where heartbeats soon find out that a client has left.
    server: "full",
    kinds: ONE,
    over: "open",
    async run(context) {
      for (const { contentType, deadline, passed } of PROTOCOLS) {
        const abort = new AbortController();
        const long = await open(context, contentType, deadline(MONTH_MS), abort.signal);
        const short = await open(context, contentType, deadline(SHORT_MS), abort.signal);
        await short.ended;
        assert.match(short.text(), passed);
        const outcome = await Promise.race([
          long.ended.then(() => `${contentType} ended: ${long.text()}`),
          sleep(LONG_ENOUGH_MS).then(() => ""),
        ]);
        assert.equal(outcome, "");
        assert.match(long.text(), /"opened"/);
        assert.match(long.text(), /"connected"/);
        abort.abort();
        await long.ended.catch(() => {});
      }
    },
  },
];
