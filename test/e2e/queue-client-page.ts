/** A page with the client as applications have it, and a queue in IndexedDB. Runs in browsers. */
import { indexedDBQueue } from "../../src/client/queue/indexeddb.ts";
import { type Client, createClient } from "../../src/index.ts";

let client: Client;
const became: Record<string, string> = {};
const heard: unknown[] = [];
const errors: string[] = [];

export function start(url: string): void {
  client = createClient(url, {
    queue: indexedDBQueue(),
    onError: ({ code, message }) => errors.push(`${code} ${message}`),
  });
  client.subscribe("room", ({ data }) => heard.push(data));
}

export function publish(text: string): void {
  became[text] = "waits";
  client.publish("room", text).then(
    ({ duplicate }) => {
      became[text] = duplicate ? "duplicate" : "published";
    },
    ({ code }) => {
      became[text] = code;
    },
  );
}

export async function logOut(): Promise<void> {
  await client.close({ forget: true });
}

export function state() {
  return { state: client.state, became, heard, errors };
}
