/**
 * Many new channels in one frame: what they cost beside objects that do nothing, and what others feel of it. The cost is
 * what the server computes: how long something takes on a busy machine says more of the machine.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { median } from "../../bench/statistics.ts";
import { cpuOf } from "../../bench/target.ts";
import { ASK_LATER_MS, MOST_WAITING_MS } from "../../src/objects/channel/lease.ts";
import { Client, valueAs } from "../support/client.ts";
import { sleep } from "../support/eventually.ts";
import { familyOf, type RunningServer, startWrangler } from "../support/wrangler.ts";

const CHANNELS = 200;
const TOGETHER = 16;
const ROUNDS = 3;
/** Rounds before them in which code is compiled. */
const FIRST_ROUNDS = 2;
const MOST = 1.5;
/** The server rests when it has computed less than this, in milliseconds, in so many of them. */
const REST_MS = 10;
const LOOK_MS = 300;
const RESTS_WITHIN_MS = 30_000;

let server: RunningServer;

beforeAll(async () => {
  const classes = ["BareDurableObject"];
  server = await startWrangler({ main: "test/worker/bare-entry.ts", classes });
});

afterAll(async () => {
  await server.stop();
});

async function connected(): Promise<Client> {
  const url = `${server.url.replace("http", "ws")}/ws`;
  const socket = new WebSocket(url, "messageloop+proto");
  const client = new Client(socket, { encoding: "proto", extended: true });
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  valueAs(await client.connect(), "connected");
  return client;
}

/** What the server has computed so far, in milliseconds of a processor: a neighbour that takes its turn adds nothing. */
async function computed(): Promise<number> {
  return cpuOf(await familyOf(server.pid)) / 1e6;
}

/** What the server computes for something. */
async function taken(work: () => Promise<unknown>): Promise<number> {
  const before = await computed();
  await work();
  return (await computed()) - before;
}

/** Nothing is left of what came before: sessions have ended, and channels have asked what they had put off. */
async function rested(): Promise<void> {
  await sleep(ASK_LATER_MS + MOST_WAITING_MS);
  const latest = performance.now() + RESTS_WITHIN_MS;
  for (let before = await computed(); ; ) {
    await sleep(LOOK_MS);
    const now = await computed();
    if (now - before < REST_MS) return;
    if (performance.now() > latest) throw new Error("the server has no rest");
    before = now;
  }
}

async function bare(): Promise<void> {
  const query = `count=${CHANNELS}&together=${TOGETHER}`;
  expect((await fetch(`${server.url}/test/bare?${query}`)).status).toBe(200);
}

async function fresh(client: Client): Promise<void> {
  const channels = Array.from({ length: CHANNELS }, () => `many.${crypto.randomUUID()}`);
  const { subscriptions } = valueAs(await client.subscribe(...channels), "subscribeAck");
  expect(subscriptions.filter(({ error }) => error !== undefined)).toEqual([]);
}

test(`${CHANNELS} new channels in one frame cost at most ${MOST} times what bare objects cost, and another connects meanwhile`, async () => {
  const pairs: { readonly bare: number; readonly fresh: number }[] = [];
  let rounds = 0;
  let overtaken = 0;
  for (let round = 0; round < FIRST_ROUNDS + ROUNDS; round++) {
    const client = await connected();
    await rested();
    const alone = await taken(bare);
    let other: Client | undefined;
    let subscribed = false;
    const together = await taken(async () => {
      const subscribing = fresh(client).finally(() => {
        subscribed = true;
      });
      other = await connected();
      rounds += 1;
      if (!subscribed) overtaken += 1;
      await subscribing;
    });
    if (round >= FIRST_ROUNDS) pairs.push({ bare: alone, fresh: together });
    for (const one of [client, other]) one?.socket.close(1000);
  }
  console.info(pairs.map(({ bare, fresh }) => `${fresh.toFixed(0)}/${bare.toFixed(0)}`).join(" "));
  // It did not have to wait until all of them were there, but where the machine kept it from its turn.
  expect(overtaken).toBeGreaterThan(rounds / 2);
  expect(median(pairs.map(({ bare, fresh }) => fresh / bare))).toBeLessThanOrEqual(MOST);
});
