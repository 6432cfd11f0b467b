/** `messageloop/shared`: one connection for all tabs of a user. */

import type { Client } from "../core/client.ts";
import { systemClock } from "../core/environment.ts";
import type { ClientOptions } from "../core/options.ts";
import { webSocket } from "../core/websocket.ts";
import { createClient as createOwn, dial as dialOwn } from "../dial.ts";
import { json } from "../wire/json.ts";
import { Election } from "./election.ts";
import { parcels } from "./line.ts";
import { browser } from "./platform.ts";
import { type WorkerFactory, workerTransport } from "./worker-transport.ts";

export { type ServeTabsOptions, serveTabs } from "./serve-tabs.ts";
export type { SharedWorkerLike, WorkerFactory } from "./worker-transport.ts";

/** Settings of a client that shares its connection. */
export interface SharedOptions<Channels extends object = Record<string, unknown>>
  extends ClientOptions<Channels> {
  /**
   * Makes the SharedWorker that has the connection. Without it, and where there is no SharedWorker, tabs elect one of them.
   * The name holds the address, the encoding and the SDK's version, so that only tabs meet in it that can share.
   *
   * @example
   * worker: (name) =>
   *   new SharedWorker(new URL("messageloop/shared-worker", import.meta.url), { type: "module", name })
   */
  readonly worker?: WorkerFactory;
}

/**
 * `dial` of `messageloop`, over the connection of all tabs whose user is the same.
 *
 * @param url such as `wss://example.com/ws`; in a page also a path
 * @throws MessagingError as `dial` of `messageloop` does
 *
 * @example
 * const client = await dial("/ws", { worker, getToken });
 */
export function dial<Channels extends object = Record<string, unknown>>(
  url: string,
  options: SharedOptions<Channels> = {},
): Promise<Client<Channels>> {
  return dialOwn(url, shared(url, options));
}

/**
 * `createClient` of `messageloop`, over the connection of all tabs whose user is the same.
 *
 * @example
 * const client = createClient("/ws", { worker, getToken });
 * client.subscribe("chat.lobby", ({ data }) => console.log(data));
 */
export function createClient<Channels extends object = Record<string, unknown>>(
  url: string,
  options: SharedOptions<Channels> = {},
): Client<Channels> {
  return createOwn(url, shared(url, options));
}

function shared<Channels extends object>(
  url: string,
  { worker, ...options }: SharedOptions<Channels>,
): ClientOptions<Channels> {
  const { encoding = "json", transport = webSocket(), connectTimeoutMs = 30_000 } = options;
  const codec = encoding === "json" ? json : encoding;
  // The client says what is wrong with it.
  if (typeof codec === "string") return options;
  const address = absolute(url);
  const clock = options.clock ?? systemClock;
  const terms = { url: address, codec, clock, connectTimeoutMs, transport };
  const elected = new Election(terms, browser).transport;
  return {
    ...options,
    encoding: parcels(codec.subprotocol),
    transport: worker === undefined ? elected : workerTransport(worker, address, elected),
  };
}

function absolute(url: string): string {
  try {
    return new URL(url, globalThis.location?.href).href;
  } catch {
    // Whoever dials it says so.
    return url;
  }
}
