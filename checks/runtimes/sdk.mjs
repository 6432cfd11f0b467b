/** The SDK in Node, Bun or Deno: sdk.mjs URL CHANNEL. Publishes each line that it reads, and prints each message. */
import process from "node:process";
import { createInterface } from "node:readline";
import { createCloudEvent, dial, webSocket } from "./messageloop.mjs";

const [url, channel] = process.argv.slice(2);
// Node 20 has no WebSocket of its own.
const own = typeof globalThis.WebSocket === "undefined";
const transport = webSocket(own ? (await import("ws")).WebSocket : undefined);
const client = await dial(url, { clientId: "", transport });
client.subscribe(channel, ({ data }) => console.log(data));
client.addEventListener("statechange", ({ detail }) => {
  if (detail.state === "closed") process.exit(1);
});

/** Publishes an event until it is in the log: the server knows it again. */
async function publish(event) {
  try {
    await client.publish(channel, event);
  } catch (error) {
    console.error(error.code, error.message);
    setTimeout(publish, 200, event);
  }
}

createInterface({ input: process.stdin }).on("line", async (data) => {
  await publish(createCloudEvent({ source: "/sdk", type: "note", data }));
});
