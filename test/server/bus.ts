/**
 * A broker that a program might bring: servers of one process that share one log, as servers on several
 * machines would share a message bus. A server hears from the bus only after a delay, which it may have to
 * wait out when it stops.
 */

import type { Broker, BrokerHandler, Cluster, Position } from "../../src/ports.ts";
import { MemoryBroker } from "../../src/server/index.ts";
import { clock, idleTimers, nextTurn, shortId } from "../../src/server/platform.ts";

export class Bus {
  readonly nodes = new Map<string, BusBroker>();
  readonly log = new MemoryBroker({
    clock,
    random: { epoch: shortId },
    nextTurn,
    timers: idleTimers,
  });

  constructor() {
    this.log.start({
      publications: (...all) => this.#send((handler) => handler.publications(...all)),
      transients: (...all) => this.#send((handler) => handler.transients(...all)),
      gap: (...all) => this.#send((handler) => handler.gap(...all)),
      patternGap: (...all) => this.#send((handler) => handler.patternGap(...all)),
      presence: (...all) => this.#send((handler) => handler.presence(...all)),
      presenceLost: (...all) => this.#send((handler) => handler.presenceLost(...all)),
    });
  }

  #send(handOver: (handler: BrokerHandler) => void): void {
    for (const node of this.nodes.values()) node.hear(handOver);
  }
}

export class BusBroker implements Broker {
  ready = true;
  sweeps = 0;
  readonly cluster: Cluster;
  readonly #bus: Bus;
  readonly #delayMs: number;
  readonly #heard: ((handler: BrokerHandler) => void)[] = [];
  readonly #places = new Map<string, Position>();
  #handler: BrokerHandler | undefined;
  /** Obeys a call of another node. */
  answer: Parameters<Cluster["start"]>[0] = () => Promise.reject(new Error("not started"));

  constructor(bus: Bus, name: string, delayMs = 0) {
    this.#bus = bus;
    this.#delayMs = delayMs;
    bus.nodes.set(name, this);
    this.cluster = {
      node: name,
      start: (answer) => {
        this.answer = answer;
      },
      others: async () => [...bus.nodes.keys()].filter((other) => other !== name),
      call: async (node, call) => await bus.nodes.get(node)?.answer(call),
    };
  }

  /** Something has happened in the log. */
  hear(handOver: (handler: BrokerHandler) => void): void {
    this.#heard.push(handOver);
    idleTimers.after(this.#delayMs, () => this.#handOver());
  }

  #handOver(): void {
    const handler = this.#handler;
    if (handler !== undefined) for (const handOver of this.#heard.splice(0)) handOver(handler);
  }

  async flush(): Promise<void> {
    this.#bus.log.flush();
    await new Promise((resolve) => setTimeout(resolve, 50));
    this.#handOver();
  }

  sweep(): void {
    this.sweeps += 1;
  }

  start(handler: BrokerHandler): void {
    this.#handler = {
      ...handler,
      publications: (channel, epoch, entries) => {
        const offset = Number(entries.at(-1)?.offset);
        this.#places.set(channel, { epoch, offset });
        handler.publications(channel, epoch, entries);
      },
    };
  }
  position: Broker["position"] = (channel) => this.#places.get(channel);
  unsubscribe: Broker["unsubscribe"] = (channel) => this.#places.delete(channel);
  // The log serves every node alike, and hands over what no node wants, too.
  unsubscribePattern: Broker["unsubscribePattern"] = () => {};
  subscribe: Broker["subscribe"] = (...asked) => this.#bus.log.subscribe(...asked);
  subscribePattern: Broker["subscribePattern"] = (...asked) =>
    this.#bus.log.subscribePattern(...asked);
  activeChannels: Broker["activeChannels"] = (...asked) => this.#bus.log.activeChannels(...asked);
  publish: Broker["publish"] = (...asked) => this.#bus.log.publish(...asked);
  join: Broker["join"] = (...asked) => this.#bus.log.join(...asked);
  leave: Broker["leave"] = (...asked) => this.#bus.log.leave(...asked);
  history: Broker["history"] = (...asked) => this.#bus.log.history(...asked);
  removeHistory: Broker["removeHistory"] = (...asked) => this.#bus.log.removeHistory(...asked);
  presence: Broker["presence"] = (...asked) => this.#bus.log.presence(...asked);
}
