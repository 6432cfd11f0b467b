/**
 * Two users with three tabs each, on one hub over message ports and against a real server: random steps, and then everybody
 * has everything that was asked for, once and in order or with a gap, and nothing else.
 */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Client } from "../../src/client/core/client.ts";
import { createCloudEvent } from "../../src/client/core/create-event.ts";
import type { Gap, ReceivedMessage } from "../../src/client/core/message.ts";
import { stands } from "../../src/client/core/patterns.ts";
import type { Clock, Surroundings } from "../../src/client/core/ports.ts";
import type { SubscribeOptions, Subscription } from "../../src/client/core/subscription.ts";
import { type WebSocketConstructor, webSocket } from "../../src/client/core/websocket.ts";
import { createClient } from "../../src/client/dial.ts";
import { Hub } from "../../src/client/shared/hub/hub.ts";
import {
  type FromHub,
  type FromTab,
  type HubLine,
  type Line,
  lineOver,
  type PortLike,
  parcels,
  type TabLine,
} from "../../src/client/shared/line.ts";
import { openLine } from "../../src/client/shared/port-transport.ts";
import { json } from "../../src/client/wire/json.ts";
import {
  createServer,
  MessagingError,
  parseConfig,
  type Server,
  toWireEvent,
} from "../../src/server/index.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { type SeededRandom, seed, seededRandom, steps } from "../support/random.ts";

const USERS = ["ann", "bob"] as const;
type User = (typeof USERS)[number];
const TABS = 3;
/** So many times as fast as real time. */
const SPEED = 20;

const ended: (() => unknown)[] = [];
const ignore = (): void => {};

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

const quick: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now() * SPEED,
  after: (ms, run) => {
    const timer = setTimeout(run, ms / SPEED);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

async function start(): Promise<{ server: Server; url: string }> {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "1s" },
    transport: { websocket: listener, grpc: listener },
    channels: [{ pattern: "**", survey: true }],
  });
  const server = createServer({
    config,
    logger: { warn: () => {} },
    backends: {
      authenticate: async ({ token }) => {
        const [userId = "", rest] = token.split(":");
        if (rest === "bad") throw new MessagingError("AUTH_ERROR", "not this token");
        return { userId };
      },
      authorizeSubscribe: async ({ channel, caller }) => {
        const [room, owner] = channel.split(".");
        if (room === "room" || owner === caller.userId) return;
        throw new MessagingError("ACL_ERROR", "not yours");
      },
    },
  });
  ended.push(() => server.stop());
  const { websocket } = await server.start();
  return { server, url: `ws://127.0.0.1:${websocket}/ws` };
}

/** The hub, as a worker runs it, and its sockets, which can be cut as cables are. */
function startHub(url: string) {
  const sockets = new Set<WebSocket>();
  class Kept extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols);
      sockets.add(this);
      this.once("close", () => sockets.delete(this));
    }
  }
  const transport = webSocket(Kept as unknown as WebSocketConstructor);
  const hub = new Hub({ url, codec: json, transport, clock: quick, connectTimeoutMs: 600_000 });
  ended.push(() => hub.end(1000, "the test is over"));
  return { hub, sockets };
}

/** Message ports between a tab and the hub, that can be frozen as pages are, and cut as by a crash. */
function ports() {
  const { port1, port2 } = new MessageChannel();
  const tab: TabLine = lineOver<FromTab, FromHub>(port1 as unknown as PortLike);
  const hub: HubLine = lineOver<FromHub, FromTab>(port2 as unknown as PortLike);
  let held: (() => void)[] | undefined;
  let dead = false;
  const line: Line<FromTab, FromHub> = {
    send: (message) => {
      if (!dead) tab.send(message);
    },
    receive: (handler) =>
      tab.receive((message) => {
        if (dead) return;
        if (held === undefined) handler(message);
        else held.push(() => handler(message));
      }),
    close: () => {
      if (!dead) tab.close();
    },
  };
  ended.push(() => {
    tab.close();
    hub.close();
  });
  return {
    tab: line,
    hub,
    freeze: () => {
      held ??= [];
    },
    thaw: () => {
      const late = held ?? [];
      held = undefined;
      for (const give of late) give();
    },
    crash: () => {
      dead = true;
    },
  };
}

/** What one subscription has heard, and what was wrong with it. */
class Heard {
  readonly name: string;
  readonly subscription: Subscription;
  /** How many publishes had been asked for when it was granted. */
  readyAt = Number.POSITIVE_INFINITY;
  readonly first = new Map<string, number>();
  readonly last = new Map<string, number>();
  /** When a gap was told last, and a message heard last, by channel or pattern. */
  readonly #gapAt = new Map<string, number>();
  readonly #heardAt = new Map<string, number>();
  readonly #texts = new Set<unknown>();
  readonly #model: Model;
  #now = 0;

  constructor(model: Model, user: User, name: string, client: Client, options: SubscribeOptions) {
    this.#model = model;
    this.name = name;
    const onMessage = (message: ReceivedMessage) => this.#message(user, message);
    this.subscription = client.subscribe(name, { ...options, onMessage });
    this.subscription.addEventListener("gap", ({ detail }) => this.#gap(detail));
    this.subscription.ready.then(
      () => {
        this.readyAt = model.asked;
      },
      () => {},
    );
  }

  excuses(channel: string, since = -1): boolean {
    return Math.max(this.#gapAt.get(channel) ?? -1, this.#gapAt.get(this.name) ?? -1) > since;
  }

  #message(user: User, { channel, offset, data }: ReceivedMessage): void {
    const wrong = (what: string): void => {
      this.#model.problems.push(`${user} ${this.name}: ${channel} ${offset} ${what}`);
    };
    const [room, owner] = channel.split(".");
    if (!stands(this.name, channel)) wrong("was not asked for");
    if (room !== "room" && owner !== user) wrong("is another user's");
    if (this.#texts.has(data)) wrong("was published twice");
    this.#texts.add(data);
    const last = this.last.get(channel);
    if (last !== undefined && offset <= last) wrong(`came after ${last}`);
    const hole = last !== undefined && offset > last + 1;
    if (hole && !this.excuses(channel, this.#heardAt.get(channel))) {
      wrong(`came after ${last} without a gap`);
    }
    if (!this.first.has(channel)) this.first.set(channel, offset);
    this.last.set(channel, offset);
    this.#now += 1;
    this.#heardAt.set(channel, this.#now);
    this.#model.heard += 1;
  }

  #gap({ channel }: Gap): void {
    this.#now += 1;
    this.#gapAt.set(channel, this.#now);
    this.#model.gaps += 1;
  }
}

class ModelTab {
  readonly user: User;
  readonly client: Client;
  readonly heard = new Map<string, Heard>();
  /** Done some steps later. */
  later: { at: number; run: () => void } | undefined;
  wire: ReturnType<typeof ports> | undefined;
  wake = (): void => {};
  sleep = (): void => {};

  constructor(user: User, hub: Hub, url: string, token: string | undefined) {
    this.user = user;
    const page: Surroundings = {
      watch: (wake, sleep) => {
        this.wake = wake;
        this.sleep = sleep;
        return () => {};
      },
    };
    let tokens = 0;
    this.client = createClient(url, {
      clock: quick,
      surroundings: page,
      encoding: parcels(json.subprotocol),
      connectTimeoutMs: 600_000,
      requestTimeoutMs: 600_000,
      getToken: () => token ?? `${user}:${++tokens}`,
      onError: () => {},
      transport: {
        name: "port",
        open: (_url, subprotocol, events) => {
          this.wire = ports();
          hub.attach(this.wire.hub);
          return openLine(this.wire.tab, url, subprotocol, events);
        },
      },
    });
    ended.push(() => this.client.close());
  }
}

class Model {
  readonly problems: string[] = [];
  readonly tabs: ModelTab[] = [];
  /** Publishes that were asked for, and where each is that was acknowledged. */
  asked = 0;
  readonly acknowledged: { channel: string; offset: number; asked: number }[] = [];
  heard = 0;
  gaps = 0;
  readonly did = new Map<string, number>();
  readonly #server: Server;
  readonly #url: string;
  readonly #hub: ReturnType<typeof startHub>;
  readonly #random: SeededRandom;

  constructor(server: Server, url: string, random: SeededRandom) {
    this.#server = server;
    this.#url = url;
    this.#random = random;
    this.#hub = startHub(url);
    for (const user of USERS) for (let i = 0; i < TABS; i++) this.open(user);
  }

  open(user: User): void {
    const token = this.#random.chance(0.5) ? `${user}:same` : undefined;
    this.tabs.push(new ModelTab(user, this.#hub.hub, this.#url, token));
  }

  channelsOf(user: User): string[] {
    return ["room.a", "room.b", "room.c.d", `own.${user}.x`, `own.${user}.y`];
  }

  step(now: number): void {
    for (const { later } of this.tabs) if (later !== undefined && later.at <= now) later.run();
    const random = this.#random;
    const tab = random.pick(this.tabs);
    const name = random.pick(Object.keys(STEPS)) as keyof typeof STEPS;
    if (!random.chance(STEPS[name])) return;
    this.did.set(name, (this.did.get(name) ?? 0) + 1);
    this[name](tab, now);
  }

  publish({ user, client }: ModelTab): void {
    const channel = this.#random.pick(this.channelsOf(user));
    this.asked += 1;
    const asked = this.asked;
    client.publish(channel, `${user} ${asked}`).then(
      ({ offset }) => this.acknowledged.push({ channel, offset, asked }),
      ({ code }) => {
        // Its tab was closed.
        if (code !== "UNAVAILABLE" && code !== "OUTCOME_UNKNOWN") this.problems.push(code);
      },
    );
  }

  serverPublishes({ user }: ModelTab): void {
    this.publishAt(this.#random.pick(this.channelsOf(user)));
  }

  publishAt(channel: string): void {
    this.asked += 1;
    const asked = this.asked;
    const event = createCloudEvent({ source: "/s", type: "t", data: `server ${asked}` });
    this.#server.engine.publish(channel, toWireEvent(event)).then(
      ({ position: { offset } }) => this.acknowledged.push({ channel, offset, asked }),
      (error: unknown) => this.problems.push(String(error)),
    );
  }

  subscribe(tab: ModelTab): void {
    const names = [...this.channelsOf(tab.user), "room.*", "room.**", `own.${tab.user}.*`];
    const free = names.filter((name) => !tab.heard.has(name));
    if (free.length === 0) return;
    const name = this.#random.pick(free);
    const rewind = name.includes("*") || this.#random.chance(0.7) ? undefined : 3;
    const options = {
      ...(rewind === undefined ? {} : { rewind }),
      ephemeral: this.#random.chance(0.3),
    };
    tab.heard.set(name, new Heard(this, tab.user, name, tab.client, options));
  }

  unsubscribe({ heard }: ModelTab): void {
    if (heard.size === 0) return;
    const name = this.#random.pick([...heard.keys()]);
    heard.get(name)?.subscription.unsubscribe().catch(ignore);
    heard.delete(name);
  }

  close(tab: ModelTab): void {
    this.#replace(tab);
    tab.client.close().catch(ignore);
  }

  crash(tab: ModelTab): void {
    this.#replace(tab);
    tab.wire?.crash();
    tab.client.close().catch(ignore);
  }

  /** The page is left and kept, and shown again. */
  leave(tab: ModelTab, now: number): void {
    if (tab.later !== undefined) return;
    tab.sleep();
    this.#later(tab, now, () => tab.wake());
  }

  freeze(tab: ModelTab, now: number): void {
    const { wire } = tab;
    if (tab.later !== undefined || wire === undefined) return;
    wire.freeze();
    this.#later(tab, now, () => wire.thaw());
  }

  cut(): void {
    const open = [...this.#hub.sockets];
    if (open.length > 0) this.#random.pick(open).terminate();
  }

  refused({ user }: ModelTab): void {
    const tab = new ModelTab(user, this.#hub.hub, this.#url, `${user}:bad`);
    tab.client.ready.then(
      () => this.problems.push("a refused token has connected"),
      ({ code }) => {
        if (code !== "AUTH_ERROR") this.problems.push(`a refused token became ${code}`);
      },
    );
  }

  /** Brings everybody back, and says what is missing. */
  async settle(): Promise<void> {
    for (const tab of this.tabs) tab.later?.run();
    const live = this.tabs.flatMap(({ heard }) => [...heard.values()]);
    const waiting = () =>
      live.filter(({ subscription }) => subscription.state !== "subscribed").length;
    await eventually(waiting, (count) => count === 0, 30_000);
    const channels = new Set(USERS.flatMap((user) => this.channelsOf(user)));
    const before = this.asked;
    for (const channel of channels) this.publishAt(channel);
    const finals = () => this.acknowledged.filter(({ asked }) => asked > before);
    await eventually(finals, (all) => all.length === channels.size);
    const missing = () =>
      live.flatMap((one) =>
        finals()
          .filter(({ channel }) => stands(one.name, channel) && this.#mayHear(one, channel))
          .filter(({ channel, offset }) => (one.last.get(channel) ?? 0) < offset)
          .map(({ channel }) => `${one.name}: ${channel}`),
      );
    await eventually(missing, (all) => all.length === 0, 30_000);
    for (const one of live) {
      for (const { channel, offset, asked } of this.acknowledged) {
        if (asked <= one.readyAt || !stands(one.name, channel)) continue;
        const first = one.first.get(channel) ?? 0;
        if (first > offset && !one.excuses(channel)) {
          this.problems.push(
            `${one.name}: ${channel} ${offset} never came, the first was ${first}`,
          );
        }
      }
    }
  }

  #mayHear({ name }: Heard, channel: string): boolean {
    return name.split(".")[0] === channel.split(".")[0];
  }

  #replace(tab: ModelTab): void {
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    this.open(tab.user);
  }

  #later(tab: ModelTab, now: number, run: () => void): void {
    const at = now + 1 + this.#random.int(30);
    tab.later = {
      at,
      run: () => {
        tab.later = undefined;
        run();
      },
    };
  }
}

/** How often each step is taken that was chosen. */
const STEPS = {
  publish: 1,
  serverPublishes: 1,
  subscribe: 0.8,
  unsubscribe: 0.3,
  close: 0.08,
  crash: 0.05,
  leave: 0.1,
  freeze: 0.1,
  cut: 0.08,
  refused: 0.05,
} as const;

test("random steps of two users with three tabs each", async () => {
  const { server, url } = await start();
  const model = new Model(server, url, seededRandom(seed()));
  const count = steps(1_500);
  for (let now = 0; now < count; now++) {
    model.step(now);
    if (now % 3 === 0) await sleep(0);
    if (now % 100 === 0) await sleep(50);
  }
  const told = () => `MESSAGELOOP_TEST_SEED=${seed()} ${JSON.stringify([...model.did])}`;
  await model.settle();
  expect(model.problems, told()).toEqual([]);
  // Every kind of step was taken, and much was heard with hardly a gap.
  expect([...model.did.keys()].sort()).toEqual(Object.keys(STEPS).sort());
  expect(model.heard).toBeGreaterThan(count / 2);
  expect(model.gaps, told()).toBeLessThan(model.heard / 10);
  // One connection for each user, and none when all have gone.
  await eventually(
    () => server.connections,
    (connections) => connections === USERS.length,
  );
  for (const { client } of model.tabs) await client.close();
  await eventually(
    () => server.connections,
    (connections) => connections === 0,
  );
}, 600_000);
