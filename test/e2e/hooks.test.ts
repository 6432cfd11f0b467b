/** Lifecycle hooks of the Worker as it is deployed, by settings alone: sessions and channels, signed. */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, freshChannel, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type RunningBackend, serve } from "../support/proxy-service.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const SECRET = "a secret of at least 32 characters";

let backend: RunningBackend;
let server: RunningServer;
/** What the backend has taken: the hook, the session or nothing, and the channel or nothing. */
const taken: { hook: string; session: string; channel: string }[] = [];
let forged = 0;
/** How many requests are refused before the first is taken. */
let away = 0;

beforeAll(async () => {
  backend = await serve(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const header = (name: string): string => `${request.headers[name]}`;
    const content = `${header("webhook-id")}.${header("webhook-timestamp")}.${body}`;
    const signature = createHmac("sha256", SECRET).update(content).digest("base64");
    if (header("webhook-signature") !== `v1,${signature}`) forged += 1;
    away -= 1;
    if (away >= 0) {
      response.writeHead(503).end();
      return;
    }
    const { session_id: session = "", channel = "" } = JSON.parse(body);
    taken.push({ hook: header("messageloop-hook"), session, channel });
    response.writeHead(204).end();
  });
  const endpoint = `http://127.0.0.1:${backend.port}/hooks`;
  const kinds = ["connected", "subscribed", "unsubscribed", "disconnected", "occupied", "vacated"];
  server = await startWorkerd({
    vars: {
      HOOKS_SECRET: SECRET,
      messageloop: {
        proxy: [{ name: "app", endpoint, signing_secrets: [{ secret: "HOOKS_SECRET" }] }],
        hooks: Object.fromEntries(kinds.map((kind) => [kind, "app"])),
      },
    },
  });
});

afterAll(async () => {
  await server?.stop();
  await backend?.stop();
});

test("a life of a session and of a channel arrives although the backend is away at first", async () => {
  away = 3;
  const url = `${server.url.replace("http", "ws")}/ws`;
  const socket = new WebSocket(url, ["messageloop+json"]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  const channel = freshChannel();
  const connected = await client.connect({ subscriptions: [{ channel }] });
  const { sessionId } = valueAs(connected, "connected");
  await client.subscribe("other");
  await client.unsubscribe(channel);
  socket.close(1000);
  const ofSession = () => taken.filter(({ session }) => session === sessionId);
  const ofChannel = () => taken.filter((one) => one.session === "" && one.channel === channel);
  await eventually(() => ofSession().length === 5 && ofChannel().length === 2, Boolean, 60_000);
  expect(ofSession().map(({ hook, channel: of }) => `${hook} ${of}`.trim())).toEqual([
    "on_connected",
    `on_subscribed ${channel}`,
    "on_subscribed other",
    `on_unsubscribed ${channel}`,
    "on_disconnected",
  ]);
  expect(ofChannel().map(({ hook }) => hook)).toEqual(["on_occupied", "on_vacated"]);
  expect(forged).toBe(0);
});
