/** What streams of Open and of server-sent events cost their gateways in the true runtime, over true connections. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { ServerStats } from "../conformance/host.ts";
import { API_KEY, KEYS } from "../conformance/keys.ts";
import { Client } from "../support/client.ts";
import { EventClient } from "../support/event-client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { OpenSocket } from "../support/open-socket.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const HEARTBEAT_MS = 2_000;
/**
 * The runtime puts an object to sleep that has had nothing to do for ten seconds; a gateway saves two seconds after a
 * message how far its sessions are.
 */
const ASLEEP_MS = 16_000;

/** How much later something may be seen on a busy machine. */
const LATE_MS = 5_000;

let server: RunningServer;

beforeAll(async () => {
  const messageloop = { transport: { stream: { heartbeat_interval: `${HEARTBEAT_MS}ms` } } };
  const vars = { messageloop, MESSAGELOOP_API_KEYS: JSON.stringify(KEYS) };
  server = await startWorkerd({ main: "worker-entry", vars });
});

afterAll(() => server.stop());

/** A client of Open at a gateway of its own. */
async function stream(gateway: string, channel: string) {
  const headers = { "Test-Gateway": gateway };
  const socket = new OpenSocket(server.url, { encoding: "json", headers });
  const client = new Client(socket, { encoding: "json", extended: true });
  await client.connect({ subscriptions: [{ channel }] });
  return { client, socket };
}

/** A reader of server-sent events at a gateway of its own. */
async function reader(gateway: string, channel: string): Promise<EventClient> {
  const headers = { "Test-Gateway": gateway, Authorization: `Bearer ${API_KEY}` };
  const client = await EventClient.open(server.url, channel, { headers });
  await client.event("subscribed");
  return client;
}

async function asked<T>(path: string): Promise<T> {
  return (await (await fetch(`${server.url}${path}`)).json()) as T;
}

test("while clients are idle their gateways sleep, and the next message arrives", async () => {
  const { client, socket } = await stream("weur-0", "idle");
  const events = await reader("weur-4", "idle");
  const url = `${server.url.replace("http", "ws")}/ws?gateway=weur-1`;
  const publisher = new Client(new WebSocket(url), { encoding: "json", extended: true });
  await eventually(() => publisher.socket.readyState === WebSocket.OPEN);
  await publisher.connect();
  await publisher.publish("idle", "awake");
  await client.received(1);
  await events.texts(1);
  for (const gateway of ["weur-0", "weur-4"]) {
    expect(await asked(`/test/lives?gateway=${gateway}`)).toBe(1);
  }
  const before = [socket.heartbeats, events.reader.heartbeats] as const;
  await sleep(ASLEEP_MS);
  expect(socket.heartbeats - before[0]).toBeGreaterThanOrEqual(4);
  expect(events.reader.heartbeats - before[1]).toBeGreaterThanOrEqual(4);
  await publisher.publish("idle", "asleep");
  await client.received(2);
  // It was made once more: by the message, and not by a heartbeat, of which there were some before.
  expect(await asked("/test/lives?gateway=weur-0")).toBe(2);
  expect(await events.texts(2)).toEqual(["awake", "asleep"]);
  expect(await asked("/test/lives?gateway=weur-4")).toBe(2);
  events.cut();
  socket.close();
  publisher.socket.close();
});

test("the session of a client whose connection has ended ends within three heartbeats", async () => {
  const { socket } = await stream("weur-2", "gone");
  const events = await reader("weur-2", "gone");
  const stats = async () => await asked<ServerStats>("/test/stats?gateway=weur-2");
  expect((await stats()).sessions).toBe(2);
  socket.terminate();
  events.cut();
  await eventually(stats, ({ sessions }) => sessions === 0, 3 * HEARTBEAT_MS + LATE_MS);
});
