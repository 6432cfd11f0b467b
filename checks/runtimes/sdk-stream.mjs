/**
 * The SDK without WebSocket: sdk-stream.mjs KIND URL CHANNEL KEY. Prints each message and each gap, and publishes each line that
 * it reads, until the line `end`.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import {
  connectStream,
  createClient,
  eventStream,
  fallback,
  protobuf,
  webSocket,
} from "./messageloop.mjs";

const [kind, url, channel, key] = process.argv.slice(2);
const transport = {
  json: () => connectStream(),
  protobuf: () => connectStream(),
  fallback: () => fallback([webSocket(), connectStream()]),
  events: () => eventStream({ key }),
}[kind]();
const client = createClient(url, {
  transport,
  encoding: kind === "protobuf" ? protobuf : "json",
  onError: ({ code, message }) => console.error(code, message),
});
client.addEventListener("gap", ({ detail }) => console.log(`gap ${detail.reason}`));
await client.subscribe(channel, ({ data }) => console.log(data)).ready;
console.log("ready");

createInterface({ input: process.stdin }).on("line", (line) => {
  const done = line === "end" ? client.close() : client.publish(channel, line);
  done.catch(({ code }) => console.log(`refused ${code}`));
  // Nothing else is to keep the process alive.
  if (line === "end") process.stdin.destroy();
});
