/** A page whose client falls back to a stream where there is no WebSocket. Runs in browsers. */
import { connectStream, fallback } from "../../src/client/stream/index.ts";
import { type Client, createClient, webSocket } from "../../src/index.ts";

// The part of a page that is used: the types of tests are those of Node.
declare function addEventListener(
  type: "pageshow",
  listener: (event: { readonly persisted: boolean }) => void,
): void;

let client: Client;
const heard: string[] = [];
const problems: string[] = [];
let restored = false;

addEventListener("pageshow", ({ persisted }) => {
  restored ||= persisted;
});

export function start(url: string, pattern: string): void {
  client = createClient(url, {
    transport: fallback([webSocket(), connectStream()]),
    onError: ({ code, message }) => problems.push(`${code} ${message}`),
  });
  client.addEventListener("gap", ({ detail }) => problems.push(`gap ${detail.reason}`));
  client.subscribe(pattern, ({ channel, offset, data }) => {
    heard.push(`${channel} ${offset} ${data}`);
  });
}

/** Resolves when all are in the log. */
export async function publish(channel: string, ...texts: string[]): Promise<void> {
  await Promise.all(texts.map((text) => client.publish(channel, text)));
}

export function state() {
  return { state: client.state, heard, problems, restored };
}
