/** Looks into the logs when nothing is under way: where they end, and what history holds. */
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import {
  type EnvelopeCase,
  type Inbound,
  textOf,
  type ValueOf,
  valueAs,
} from "../support/client.ts";
import { type Place, type ReadPage, unpadded } from "./facts.ts";
import type { LifeHost } from "./host.ts";
import { placeOf } from "./told.ts";
import { Wire } from "./wire.ts";

const PATIENCE_MS = 6_000;

export class Auditor {
  readonly #host: LifeHost;
  readonly #wire: Wire;
  readonly #waiting = new Map<string, (message: OutboundMessage | undefined) => void>();

  private constructor(host: LifeHost, socket: Awaited<ReturnType<LifeHost["open"]>>) {
    this.#host = host;
    this.#wire = new Wire(socket, "proto", {
      received: (message) => this.#waiting.get(message.id)?.(message),
      lost: () => {
        for (const give of this.#waiting.values()) give(undefined);
      },
    });
  }

  /** A fresh connection, subscribed to everything. Rejects where the host does not let it. */
  static async come(host: LifeHost, place: number): Promise<Auditor> {
    const auditor = new Auditor(host, await host.open("proto", place));
    const subscriptions = [...host.channels.keys()].map((channel) => ({
      channel,
      ephemeral: true,
    }));
    const value = {
      clientId: "auditor",
      token: "auditor",
      capabilities: ["history"],
      subscriptions,
    };
    const connected = await auditor.#ask({ envelope: { case: "connect", value } }, "connected");
    const refused = connected.subscriptions.find(({ error }) => error !== undefined);
    if (refused === undefined) return auditor;
    auditor.leave();
    throw new Error(`refused ${refused.channel}: ${refused.error?.code}`);
  }

  leave(): void {
    this.#wire.end(false);
  }

  /** Where a log ends. */
  async head(channel: string): Promise<Place> {
    const value = { channel, limit: 0 };
    const { position } = await this.#ask(
      { envelope: { case: "historyRequest", value } },
      "history",
    );
    return placeOf(position) ?? { epoch: "", offset: 0 };
  }

  /** All that history holds. */
  async read(channel: string): Promise<ReadPage> {
    let messages: ReadPage["messages"][number][] = [];
    let began = this.#host.now();
    let head: Place | undefined;
    for (;;) {
      const since = messages.at(-1)?.place;
      const position = since && { epoch: since.epoch, offset: BigInt(since.offset) };
      const value = { channel, limit: -1, ...(position && { since: position }) };
      const page = await this.#ask({ envelope: { case: "historyRequest", value } }, "history");
      if (page.gap !== undefined) {
        // What comes next has gone meanwhile: history begins elsewhere now.
        messages = [];
        began = this.#host.now();
        head = undefined;
        continue;
      }
      for (const { epoch, offset, payload, publisher } of page.messages) {
        const event = {
          text: unpadded(textOf(payload)),
          id: payload?.id ?? "",
          source: payload?.source,
          user: this.#host.authenticates ? publisher?.userId : undefined,
        };
        messages.push({ place: { epoch, offset: Number(offset) }, event });
      }
      const reached = placeOf(page.position) ?? { epoch: "", offset: 0 };
      head ??= reached;
      if (!page.more || page.messages.length === 0) {
        return { messages, position: reached, began, head };
      }
    }
  }

  async #ask<Case extends EnvelopeCase>(message: Inbound, kind: Case): Promise<ValueOf<Case>> {
    const id = this.#wire.send(message);
    const answer = await new Promise<OutboundMessage | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
      this.#waiting.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
    });
    this.#waiting.delete(id);
    if (answer === undefined) throw new Error("no answer");
    return valueAs(answer, kind);
  }
}
