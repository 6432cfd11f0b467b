/** Subscribes to a channel, publishes to it, and prints what comes: `node hello.mjs`. */
import { dial } from "messageloop";

const client = await dial(process.env.MESSAGELOOP_URL ?? "ws://localhost:9080/ws");
client.subscribe("chat.lobby", {
  rewind: 10,
  onMessage: ({ offset, data }) => console.log(offset, data.text),
});
await client.publish("chat.lobby", { text: "hello" });
