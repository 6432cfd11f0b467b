/**
 * Many clients in one process, which are cut at once and come back: storm.mjs SIDE URL [FAULT]. For each message of the parent's it has
 * them miss messages and cuts them, and says how long it took until all of them had these. Both SDKs connect by `ws`. The fault
 * `plant` makes ours slower.
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { Centrifuge } from "centrifuge";
import { WebSocket } from "ws";
import { createClient, webSocket } from "./messageloop.mjs";

const [side, url, fault] = process.argv.slice(2);
const CLIENTS = 1_000;
/** Of each client, which missed messages in each. */
const CHANNELS = 10;
const MISSED = 10;
const ALL_CHANNELS = 1_000;
/** Clients that connect at a time in the beginning. */
const TOGETHER = 100;
/** Publishes under way. */
const WINDOW = 100;
/** So long nothing has come when nothing is on its way any more. */
const QUIET_MS = 500;
const PATIENCE_MS = 120_000;
const TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind.";

const open = new Set();
let lastHeard = performance.now();

/** A WebSocket that can be cut, and that hears nothing for a while before: so messages are missed. */
class Cuttable extends WebSocket {
  muted = false;

  constructor(...terms) {
    super(...terms);
    open.add(this);
    this.once("close", () => open.delete(this));
  }

  emit(name, ...terms) {
    if (name === "message") {
      lastHeard = performance.now();
      if (this.muted) return false;
    }
    return super.emit(name, ...terms);
  }
}

const SIDES = {
  ours: {
    async join(channels, heard) {
      const client = createClient(url, { transport: webSocket(Cuttable) });
      const subscriptions = channels.map((channel) => client.subscribe(channel, heard));
      await Promise.all(subscriptions.map(({ ready }) => ready));
    },
    async publisher() {
      const client = createClient(url, { transport: webSocket(WebSocket) });
      await client.ready;
      return (channel, data) => client.publish(channel, data);
    },
  },
  theirs: {
    async join(channels, heard) {
      // Its first try comes after the lower bound and at most as much again: 500 ms at the latest, as ours.
      const delays = { minReconnectDelay: 250, maxReconnectDelay: 20_000 };
      const client = new Centrifuge(url, { websocket: Cuttable, ...delays });
      const subscriptions = channels.map((channel) => {
        const one = client.newSubscription(channel, { recoverable: true, positioned: true });
        one.on("publication", heard);
        one.subscribe();
        return one;
      });
      client.connect();
      await Promise.all(subscriptions.map((one) => one.ready()));
    },
    async publisher() {
      const client = new Centrifuge(url, { websocket: WebSocket });
      client.connect();
      await client.ready();
      return (channel, data) => client.publish(channel, data);
    },
  },
};

const counts = new Array(CLIENTS).fill(0);
let total = 0;
let complete = () => {};

function hear(client) {
  if (fault === "plant" && side === "ours") burn();
  counts[client] += 1;
  total += 1;
  if (total === CLIENTS * CHANNELS * MISSED) complete();
}

const publish = await SIDES[side].publisher();
for (let i = 0; i < CLIENTS; i += TOGETHER) {
  const some = Array.from({ length: TOGETHER }, (_, j) => i + j);
  await Promise.all(
    some.map((client) => {
      const channels = Array.from({ length: CHANNELS }, (_, k) => channelOf(client * CHANNELS + k));
      return SIDES[side].join(channels, () => hear(client));
    }),
  );
}
process.on("message", async () => process.send(await round()));
process.send("ready");

/** 50 microseconds. */
function burn() {
  const end = performance.now() + 0.05;
  while (performance.now() < end);
}

function channelOf(index) {
  return `storm.${index % ALL_CHANNELS}`;
}

async function round() {
  for (const socket of open) socket.muted = true;
  for (let i = 0; i < ALL_CHANNELS * MISSED; i += WINDOW) {
    const some = Array.from({ length: WINDOW }, (_, j) => channelOf(i + j));
    await Promise.all(some.map((channel) => publish(channel, { text: TEXT })));
  }
  while (performance.now() - lastHeard < QUIET_MS) await pause(QUIET_MS / 5);
  counts.fill(0);
  total = 0;
  const done = new Promise((resolve, reject) => {
    complete = resolve;
    setTimeout(() => reject(new Error(`${total} messages have come back`)), PATIENCE_MS).unref();
  });
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (const socket of open) socket.terminate();
  await done;
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  if (counts.some((count) => count !== CHANNELS * MISSED)) throw new Error("some came twice");
  return { seconds, cpu: (user + system) / 1e6 };
}
