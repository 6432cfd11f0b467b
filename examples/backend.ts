/** What backends of the examples have: MessageLoop's API, with a key that never leaves this process. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";

/** The server API, as a backend calls it. */
export interface MessageLoopApi {
  /** Such as `http://localhost:9080`. */
  readonly url: string;
  readonly key: string;
}

export interface Backend {
  /** Answers a request with JSON; undefined is no page of its own. */
  answer?(path: string, request: IncomingMessage): Promise<unknown>;
}

/**
 * Where the API of a development server is, and the key that it has made for this folder. A Worker has the API beside its
 * socket, `messageloop serve` on its admin port. MESSAGELOOP_API_URL and MESSAGELOOP_API_KEY say otherwise.
 */
export async function findApi(root: string, messageloop: URL): Promise<MessageLoopApi> {
  const admin = new URL(messageloop);
  admin.port = "8080";
  const given = process.env["MESSAGELOOP_API_URL"];
  const url = given ?? ((await hasApi(messageloop)) ? messageloop : admin).origin;
  const file = join(root, ".messageloop-dev-key");
  const key = process.env["MESSAGELOOP_API_KEY"] ?? (await readFile(file, "utf8").catch(() => ""));
  return { url, key: key.trim() };
}

/** Publishes an event to a channel. */
export async function publish(
  { url, key }: MessageLoopApi,
  channel: string,
  data: unknown,
): Promise<void> {
  const answer = await fetch(`${url}/channels/${channel}`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${key}`,
      "Content-Type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": crypto.randomUUID(),
      "ce-source": "/examples",
      "ce-type": "measurement",
    },
    body: JSON.stringify(data),
  });
  if (!answer.ok) throw new Error(`publishing to ${channel}: ${await answer.text()}`);
}

/** Without a key the API says that one is missing, and a place without the API knows no such path. */
async function hasApi(url: URL): Promise<boolean> {
  const asked = await fetch(new URL("/channels/any", url), { method: "POST" }).catch(
    () => undefined,
  );
  return asked?.status === 401;
}
