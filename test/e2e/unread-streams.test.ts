/** Streams whose clients keep their connections and read nothing: the Worker lets go of them. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { event, KEY_ENTRIES, KEYS } from "../http/api/cases.ts";
import { jsonDriver } from "../http/api/driver.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const ROOM = "unread";
const DOORS = ["Open", "events"] as const;
let server: RunningServer;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = await startWorkerd({
    main: "worker-api-entry",
    vars: {
      messageloop: { limits: { queue_bytes: 4_000_000 } },
      MESSAGELOOP_API_KEYS: JSON.stringify(KEY_ENTRIES),
    },
  });
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await server?.stop();
});

/** Sends a request and reads no more than that something has come. */
async function neverReads(head: readonly string[], body: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  const lines = [...head, `Host: ${hostname}`, `Content-Length: ${body.length}`, "", ""];
  socket.write(Buffer.concat([Buffer.from(lines.join("\r\n")), body]));
  await once(socket, "readable");
}

test("a client that reads nothing loses its session, and soon its stream", async () => {
  const request = Buffer.from(JSON.stringify({ subscriptions: [{ channel: ROOM }] }));
  const envelope = Buffer.alloc(5);
  envelope.writeUInt32BE(request.length, 1);
  await neverReads(
    [
      "POST /messageloop.v1.MessagingService/Open HTTP/1.1",
      "Content-Type: application/connect+json",
    ],
    Buffer.concat([envelope, request]),
  );
  await neverReads(
    [`GET /channels/${ROOM}/events HTTP/1.1`, `Authorization: Bearer ${KEYS.all.key}`],
    Buffer.alloc(0),
  );
  const api = jsonDriver(server.url);
  const members = async (): Promise<unknown> =>
    (await api.call("presence", { channel: ROOM }, KEYS.all.key)).body["total"] ?? 0;
  await eventually(members, (total) => total === 2);
  const publications = Array.from({ length: 10 }, (_, i) => ({
    destination: { channels: [ROOM] },
    payload: event("x".repeat(50_000), { id: `${i}` }),
  }));
  // Slowly enough for who reads, and more than all that lies between the Worker and its clients has room for.
  for (let i = 0; i < 100; i++) {
    await api.call("publish", { publications }, KEYS.all.key);
    await sleep(50);
  }
  await eventually(members, (total) => total === 0, 20_000);
  await eventually(
    () => server.output(),
    (output) => DOORS.every((door) => output.includes(`does not read","door":"${door}"`)),
    45_000,
  );
}, 120_000);
