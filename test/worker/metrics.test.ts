/** What operators read of a deployment by a key: what gateways have counted, though every object of it sleeps. */
import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeAll, expect, test, vi } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { hex } from "../../src/http/keys/key.ts";
import { webSha256 } from "../../src/http/keys/sha256.ts";
import { REGION_METRICS } from "../../src/http/metrics/regions.ts";
import { ChannelObject } from "../../src/objects/channel/object.ts";
import { StatsObject } from "../../src/objects/directory/stats.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { REGIONS } from "../../src/worker/placement.ts";
import { API_KEYS } from "../../src/worker/settings.ts";
import { createWorker } from "../../src/worker/worker.ts";
import { parseMetrics } from "../server/prometheus.ts";
import { eventually } from "../support/eventually.ts";
import { Client, freshChannel } from "./socket.ts";

const READER = `ml_scraper_${"r".repeat(43)}`;
const PUBLISHER = `ml_backend_${"p".repeat(43)}`;
const OPERATOR = `ml_operator_${"o".repeat(43)}`;

beforeAll(async () => {
  // No channel that anybody uses: metrics are of none.
  const entry = async (id: string, key: string, right: string, pattern = "metrics.only") => ({
    id,
    digest: hex(await webSha256(key)),
    rights: [right],
    patterns: [pattern],
  });
  const keys = [
    await entry("read", READER, "read"),
    await entry("publish", PUBLISHER, "publish"),
    await entry("operator", OPERATOR, "read", "**"),
  ];
  // Before any object is made: a gateway reports where there is a key that may ask for it.
  Object.assign(env, { [API_KEYS]: JSON.stringify(keys), messageloop: { api: { metrics: true } } });
});

const known: Backends = { authenticate: async ({ token }) => ({ userId: token }) };
/** Called when a life of a gateway begins. */
const gatewayLives = vi
  .spyOn(GatewayDurableObject.prototype as unknown as { backends(): Backends }, "backends")
  .mockReturnValue(known);
/** Called when a life of a channel begins. */
const channelLives = vi.spyOn(ChannelObject.prototype, "found");

async function asked(
  path: string,
  key?: string,
  method = "GET",
  body: string | null = null,
): Promise<Response> {
  const { fetch } = createWorker();
  if (fetch === undefined) throw new Error("the Worker takes no requests");
  const authorization = key === undefined ? {} : { Authorization: `Bearer ${key}` };
  const headers = { "Content-Type": "application/json", ...authorization };
  const request = new Request(`https://own.example${path}`, { method, headers, body });
  const context = Object.assign(createExecutionContext(), { exports });
  return await fetch(request as never, env as unknown as Env, context);
}

/** The samples of the page, by their whole names. */
async function scraped(): Promise<ReadonlyMap<string, number>> {
  const text = await (await asked("/metrics", READER)).text();
  const families = [...parseMetrics(text).values()];
  return new Map(
    families
      .flatMap(({ samples }) => samples)
      .map(({ name, labels, value }) => [`${name} ${Object.values(labels).join(" ")}`, value]),
  );
}

/** What the server API says of gateways. */
async function nodesSeen(): Promise<NodesBody> {
  const answer = await asked("/messageloop.server.v1.APIService/Nodes", OPERATOR, "POST", "{}");
  expect(answer.status).toBe(200);
  return await answer.json<NodesBody>();
}

function evict(gateway: string): Promise<void> {
  return evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
}

test("metrics and the whole of health are for keys that may read", async () => {
  for (const path of ["/metrics", "/health"]) {
    const wrong = await asked(path, `ml_scraper_${"x".repeat(43)}`);
    expect([wrong.status, await wrong.json()]).toMatchObject([401, { code: "AUTH_ERROR" }]);
    const publisher = await asked(path, PUBLISHER);
    expect([publisher.status, await publisher.json()]).toMatchObject([403, { code: "ACL_ERROR" }]);
    expect((await asked(path, READER)).status).toBe(200);
    expect((await asked(path, READER, "HEAD")).status).toBe(200);
    expect((await asked(path, READER, "POST")).status).toBe(405);
  }
  expect((await asked("/metrics")).status).toBe(401);
  // Who watches whether the Worker lives needs no key, and hears no more than that.
  const bare = await asked("/health");
  expect([bare.status, await bare.json()]).toEqual([200, { status: "ready" }]);
});

test("every region is there before anybody has come", async () => {
  const answer = await asked("/metrics", READER);
  expect(answer.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(answer.headers.get("Cache-Control")).toBe("no-store");
  const samples = await scraped();
  for (const region of REGIONS) expect(samples.get(`messageloop_region_ready ${region}`)).toBe(1);
});

test("what gateways have counted is read while all of them sleep, and goes on when they have woken", async () => {
  const channel = freshChannel("secret-channel");
  const user = `secret-user-${crypto.randomUUID()}`;
  const gateways = ["oc-21", "oc-22", "afr-21"];
  const clients = await Promise.all(
    gateways.map(async (gateway) => {
      const client = await Client.open({ gateway });
      await client.connect({ token: user });
      return client;
    }),
  );
  for (const client of clients) await client.subscribe(channel);
  const slow = await Client.open({ gateway: "oc-22" });
  await slow.connect({ token: user });
  await slow.subscribe(`${channel}.slow`);
  await runInDurableObject(exports.GatewayDurableObject.getByName("oc-22"), (gateway) => {
    const { engine } = gateway as unknown as { readonly engine: Engine };
    for (const session of engine.sessions()) {
      if (session.channels.includes(`${channel}.slow`)) session.close(DISCONNECTS.slowConsumer);
    }
  });
  expect(await slow.closed()).toMatchObject({ code: 3510 });
  const [first] = clients;
  for (let i = 1; i <= 3; i++) await first?.publish(channel, `m${i}`);
  const sum = (samples: ReadonlyMap<string, number>, name: string): number =>
    (samples.get(`${name} oc`) ?? 0) + (samples.get(`${name} afr`) ?? 0);
  await eventually(
    async () => sum(await scraped(), "messageloop_deliveries_total"),
    (delivered) => delivered === 9,
  );
  // Each waits until what it has to report is reported.
  await Promise.all(gateways.map(evict));
  await evictDurableObject(exports.ChannelDurableObject.getByName(channel));
  for (const region of ["oc", "afr"]) {
    await evictDurableObject(exports.StatsDurableObject.getByName(region));
  }
  gatewayLives.mockClear();
  channelLives.mockClear();
  const before = Date.now();
  const asleep = await scraped();
  const health = await (await asked("/health", READER)).json<HealthBody>();
  const { incidents = [], nodes, regions } = await nodesSeen();
  expect(gatewayLives).not.toHaveBeenCalled();
  expect(channelLives).not.toHaveBeenCalled();
  const counted = {
    messageloop_gateways: [2, 1],
    messageloop_sessions: [2, 1],
    messageloop_subscriptions: [2, 1],
    messageloop_sessions_opened_total: [3, 1],
    messageloop_publications_total: [3, 0],
    messageloop_deliveries_total: [6, 3],
  };
  for (const [name, numbers] of Object.entries(counted)) {
    const seen = ["oc", "afr"].map((region) => asleep.get(`${name} ${region}`));
    expect(seen, name).toEqual(numbers);
  }
  expect(asleep.get("messageloop_disconnects_total oc 3510")).toBe(1);
  const asOf = asleep.get("messageloop_region_as_of_timestamp_seconds oc") ?? 0;
  expect(Math.abs(before / 1_000 - asOf)).toBeLessThan(12);
  const mine = nodes.filter(({ name }) => gateways.includes(name));
  expect(
    Object.fromEntries(
      mine.map(({ name, ...its }) => [name, [its.region, its.sessions, its.deliveries]]),
    ),
  ).toEqual({ "oc-21": ["oc", 1, "3"], "oc-22": ["oc", 1, "3"], "afr-21": ["afr", 1, "3"] });
  for (const { reported } of mine) expect(Math.abs(before - Number(reported))).toBeLessThan(30_000);
  expect(regions.map(({ region }) => region)).toEqual(REGIONS);
  expect(regions.find(({ region }) => region === "oc")).toMatchObject({
    ready: true,
    gateways: 2,
    sessions: "2",
    as_of: expect.stringMatching(/^\d{13}$/),
  });
  // The gateway has met it, the region remembers it, and both sleep.
  expect(incidents.filter(({ channel: its }) => its.startsWith(channel))).toEqual([
    expect.objectContaining({
      kind: "slow_consumer",
      channel: `${channel}.slow`,
      count: 1,
      node: "oc-22",
    }),
  ]);
  expect(health).toMatchObject({ status: "ready", gateways: 3, sessions: 3 });
  expect(Math.abs(before - Date.parse(health.as_of))).toBeLessThan(12_000);
  expect(health.regions.map(({ region }) => region)).toEqual(REGIONS);
  expect(health.regions.find(({ region }) => region === "oc")).toMatchObject({ sessions: 2 });
  // A life that has slept counts from zero, and the sum does not fall.
  await first?.publish(channel, "m4");
  const awake = await eventually(
    scraped,
    (samples) => sum(samples, "messageloop_deliveries_total") === 12,
  );
  expect(awake.get("messageloop_publications_total oc")).toBe(4);
  expect(awake.get("messageloop_sessions oc")).toBe(2);
  expect(awake.get("messageloop_sessions_opened_total oc")).toBe(3);
  const text = await (await asked("/metrics", READER)).text();
  expect(text).not.toMatch(/secret|oc-2/);
  const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map(([, label]) => label));
  expect([...labels].toSorted()).toEqual([
    "client",
    "code",
    "encoding",
    "le",
    "outcome",
    "reason",
    "region",
  ]);
  for (const name of parseMetrics(text).keys()) expect(REGION_METRICS).toContain(name);
  for (const client of clients) client.socket.close(1000);
  await eventually(
    async () => sum(await scraped(), "messageloop_sessions"),
    (sessions) => sessions === 0,
  );
});

test("a region whose counters do not answer is said to be away, and the others are there", async () => {
  const figures = vi.spyOn(StatsObject.prototype, "figures");
  figures.mockImplementationOnce(() => {
    throw new MessagingError("INTERNAL_ERROR", "the disk is gone");
  });
  const samples = await scraped();
  const ready = REGIONS.map((region) => samples.get(`messageloop_region_ready ${region}`));
  expect(ready.toSorted()).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1]);
  const away = REGIONS.filter((region) => samples.get(`messageloop_region_ready ${region}`) === 0);
  expect([...samples.keys()].filter((name) => name.includes(away.join()))).toHaveLength(1);
  figures.mockImplementationOnce(() => {
    throw new MessagingError("INTERNAL_ERROR", "the disk is gone");
  });
  const answer = await asked("/health", READER);
  const health = await answer.json<HealthBody>();
  expect([answer.status, health.status]).toEqual([503, "not ready"]);
  expect(health.regions.filter(({ status }) => status !== "ready")).toEqual([
    {
      region: expect.any(String),
      status: "not ready",
      as_of: null,
      gateways: null,
      sessions: null,
    },
  ]);
});

interface HealthBody {
  readonly status: string;
  readonly as_of: string;
  readonly sessions: number;
  readonly regions: readonly {
    readonly region: string;
    readonly status: string;
    readonly sessions: number | null;
  }[];
}

interface NodesBody {
  readonly nodes: readonly {
    readonly name: string;
    readonly region: string;
    readonly sessions: number;
    readonly deliveries: string;
    readonly reported: string;
  }[];
  readonly regions: readonly { readonly region: string }[];
  readonly incidents?: readonly { readonly channel: string }[];
}
