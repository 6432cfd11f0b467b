/**
 * The yardsticks: WebSocket servers with channels and nothing else. With `frames` each message is sent to each
 * subscriber by the library; with `turns` a message is put into its wire form once, and what a socket receives in one turn
 * of the event loop leaves as one write, which is about what one Node process can do. Prints its port.
 */
import { byFrame, byTurn, listen, subscribersOf } from "./bare-channels.ts";

const [mode] = process.argv.slice(2);
if (mode !== "frames" && mode !== "turns") throw new Error("usage: bare-server.ts frames|turns");
const deliver = mode === "frames" ? byFrame : byTurn;

listen({ publish: (channel, data) => deliver(subscribersOf(channel), data) });
