/** Tabs that share a connection, in one process: their lines, the hub, and a server without sockets. */

import type { Client } from "../../../src/client/core/client.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import type { TransportFactory } from "../../../src/client/core/ports.ts";
import { createClient } from "../../../src/client/dial.ts";
import { Hub, type HubTerms } from "../../../src/client/shared/hub/hub.ts";
import {
  type FromHub,
  type FromTab,
  type HubLine,
  type Line,
  parcels,
  type TabLine,
} from "../../../src/client/shared/line.ts";
import { openLine } from "../../../src/client/shared/port-transport.ts";
import { SDK_VERSION } from "../../../src/client/shared/version.ts";
import { FakeServer, type FakeServerOptions } from "../../../src/client/testing/fake-server.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import type {
  InboundFrame,
  OutboundFrame,
  SubscriptionRequest,
} from "../../../src/client/wire/frames.ts";
import { json } from "../../../src/client/wire/json.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";

export const URL_OF_ALL = "ws://fake/ws";

/** Between the two ends of a line; a test may hold back what goes to the tab, and look at everything. */
export class Wire {
  readonly tab: TabLine;
  readonly hub: HubLine;
  readonly toTab: FromHub[] = [];
  readonly toHub: FromTab[] = [];
  #held: (() => void)[] | undefined;
  #dead = false;

  constructor() {
    const tab = end<FromTab, FromHub>();
    const hub = end<FromHub, FromTab>();
    this.tab = tab.line((message) => {
      if (this.#dead) return;
      this.toHub.push(message);
      queueMicrotask(() => hub.take(message));
    });
    this.hub = hub.line((message) => {
      this.toTab.push(message);
      const give = (): void => queueMicrotask(() => tab.take(message));
      if (this.#held === undefined) give();
      else this.#held.push(give);
    });
  }

  /** The tab is no more, and has said nothing. */
  crash(): void {
    this.#dead = true;
    this.freeze();
  }

  /** The tab stops: nothing reaches it. */
  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const give of held) give();
  }
}

function end<Out, In>() {
  let handler: ((message: In) => void) | undefined;
  let over = false;
  return {
    take: (message: In): void => {
      if (!over) handler?.(message);
    },
    line: (send: (message: Out) => void): Line<Out, In> => ({
      send: (message) => {
        if (!over) send(structuredClone(message));
      },
      receive: (taker) => {
        handler = taker;
      },
      close: () => {
        over = true;
      },
    }),
  };
}

/** One tab: its client, what it has heard, and its line of now. */
export interface SceneTab {
  readonly client: Client;
  /** `channel text`, in order. */
  readonly heard: string[];
  readonly gaps: unknown[];
  readonly errors: MessagingError[];
  /** The line of the last attempt. */
  readonly wire: () => Wire;
}

/** A tab's line, by hand. */
export interface BareTab {
  connect(...subscriptions: readonly SubscriptionRequest[]): void;
  subscribe(...subscriptions: readonly SubscriptionRequest[]): void;
  /** The frames that it was given. */
  given(): readonly OutboundFrame[];
}

export class Scene {
  readonly clock = new ManualClock();
  readonly server: FakeServer;
  readonly hub: Hub;
  #published = 0;

  constructor(server: Partial<FakeServerOptions> = {}, hub: Partial<HubTerms> = {}) {
    this.server = new FakeServer({
      clock: this.clock,
      authenticate: (token) => {
        const [user = "", rest] = token.split(":");
        if (rest === "bad") throw new MessagingError("AUTH_ERROR", "not this token");
        return user;
      },
      ...server,
    });
    this.hub = new Hub({
      url: URL_OF_ALL,
      codec: json,
      transport: this.server.transport,
      clock: this.clock,
      connectTimeoutMs: 30_000,
      ...hub,
    });
  }

  tab(options: ClientOptions = {}): SceneTab {
    let wire = new Wire();
    const transport: TransportFactory = {
      name: "line",
      open: (_url, subprotocol, events) => {
        wire = new Wire();
        this.hub.attach(wire.hub);
        return openLine(wire.tab, URL_OF_ALL, subprotocol, events);
      },
    };
    const errors: MessagingError[] = [];
    const client = createClient(URL_OF_ALL, {
      clock: this.clock,
      transport,
      encoding: parcels(json.subprotocol),
      onError: (error) => errors.push(error),
      ...options,
    });
    const gaps: unknown[] = [];
    client.addEventListener("gap", ({ detail }) => gaps.push(detail));
    return { client, heard: [], gaps, errors, wire: () => wire };
  }

  /** A tab that is no client: a test says what it asks for. */
  bareTab(token: string): BareTab {
    const wire = new Wire();
    this.hub.attach(wire.hub);
    const [subprotocol, version] = [json.subprotocol, SDK_VERSION];
    wire.tab.send({ kind: "open", version, url: URL_OF_ALL, subprotocol });
    let requests = 0;
    const send = (frame: InboundFrame): void => {
      requests += 1;
      wire.tab.send({ kind: "frame", frame: { id: `${requests}`, ...frame } });
    };
    return {
      connect: (...subscriptions) => send({ connect: { client_id: "bare", token, subscriptions } }),
      subscribe: (...subscriptions) => send({ subscribe: { subscriptions } }),
      given: () =>
        wire.toTab.flatMap((message) => (message.kind === "frame" ? [message.frame] : [])),
    };
  }

  /** A tab that is subscribed, and connected. */
  async reader(token: string, ...channels: readonly string[]): Promise<SceneTab> {
    const tab = this.tab({ token });
    for (const channel of channels) this.listen(tab, channel);
    await this.pass();
    return tab;
  }

  listen({ client, heard }: SceneTab, channel: string, options = {}): void {
    client.subscribe(channel, {
      ...options,
      onMessage: (message) => heard.push(`${message.channel} ${message.data}`),
    });
  }

  /** The server's side publishes a text. */
  publish(channel: string, text: string): void {
    this.#published += 1;
    const id = `p${this.#published}`;
    this.server.publish(channel, { id, source: "/test", type: "t", text_data: text });
  }

  /** Lets time pass, and everything that waits for nothing but its turn. */
  async pass(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let i = 0; i < 5; i++) await this.clock.advance(0);
  }
}
