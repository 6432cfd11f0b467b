/**
 * The yardstick of RPCs to a backend over HTTP: each message of a WebSocket is one request by undici, whose answer is one
 * message back. Takes the backend's port, and prints its own.
 */
import { Pool } from "undici";
import { byFrame, fail, listen, subscribersOf } from "./bare-channels.ts";

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`);
const headers = { "content-type": "application/octet-stream" };

async function ask(channel: string, data: Buffer): Promise<void> {
  const { body } = await pool.request({ path: "/", method: "POST", headers, body: data });
  byFrame(subscribersOf(channel), Buffer.from(await body.arrayBuffer()));
}

listen({
  publish: (channel, data) => {
    ask(channel, data).catch(fail);
  },
});
