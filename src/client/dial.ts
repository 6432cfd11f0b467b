/** How applications get a client. */
import { Client } from "./core/client.ts";
import type { ClientOptions } from "./core/options.ts";
import type { QueueFactory } from "./core/ports.ts";
import { memoryQueue } from "./queue/queue.ts";

/**
 * Connects to a server and waits until the session stands. From then on the client comes back by itself after a loss.
 *
 * @param url such as `wss://example.com/ws`; in a page also a path
 * @throws MessagingError with the server's code when it refuses; `UNAVAILABLE` when it cannot be reached or does not answer
 * in time; `BAD_REQUEST` for what is no URL. `close` says how the connection ended.
 *
 * @example
 * const client = await dial("wss://example.com/ws", { token });
 * client.subscribe("chat.lobby", ({ data }) => console.log(data));
 * await client.publish("chat.lobby", { text: "hello" });
 */
export async function dial<Channels extends object = Record<string, unknown>>(
  url: string,
  options: ClientOptions<Channels> = {},
): Promise<Client<Channels>> {
  const client = new Client<Channels>(url, options, queueOf(options.queue), false);
  try {
    await client.ready;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
  return client;
}

/**
 * A client that begins to connect, and goes on trying until it is closed or the server refuses it for good. What is asked
 * of it meanwhile waits.
 *
 * @example
 * const client = createClient("wss://example.com/ws", { getToken });
 * client.addEventListener("statechange", ({ detail }) => console.log(detail.state));
 */
export function createClient<Channels extends object = Record<string, unknown>>(
  url: string,
  options: ClientOptions<Channels> = {},
): Client<Channels> {
  return new Client<Channels>(url, options, queueOf(options.queue), true);
}

function queueOf(queue: QueueFactory | false | undefined): QueueFactory | undefined {
  return queue === false ? undefined : (queue ?? memoryQueue());
}
