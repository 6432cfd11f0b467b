/** Pages of real browsers talk to a server that compresses. */

import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer as createMessageServer } from "../../src/server/server.ts";
import { BROWSERS, launch } from "./browsers.ts";

const TEXT = "again and again ".repeat(2_000);

/** Publishes a long text to a channel that it reads, and comes to what arrives of it. */
const PAGE = `(async () => {
  const socket = new WebSocket("ws://" + location.host + "/ws", ["messageloop+json"]);
  await new Promise((resolve) => { socket.onopen = resolve; });
  const arrived = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const { publication } = JSON.parse(data);
      if (publication) resolve(publication.messages[0].payload.text_data);
    };
  });
  const send = (frame) => socket.send(JSON.stringify(frame));
  send({ id: "1", connect: { client_id: "page", capabilities: ["test"] } });
  send({ id: "2", subscribe: { subscriptions: [{ channel: "page" }] } });
  const event = { id: "e", source: "/page", type: "t", text_data: ${JSON.stringify(TEXT)} };
  send({ id: "3", channel: "page", publish: event });
  return [socket.extensions, await arrived];
})()`;

test.each(BROWSERS)("%s compresses what it sends, and reads what is compressed", async (name) => {
  const any = { addr: "127.0.0.1:0" };
  const server = createMessageServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: { ...any, compression: true }, grpc: any },
    }),
  });
  const { websocket } = await server.start();
  onTestFinished(() => server.stop());
  const wire = await counted(websocket);
  const browser = await launch(name);
  onTestFinished(() => browser.close());
  const page = await browser.open(`http://127.0.0.1:${wire.port}/`);
  const before = wire.bytes();
  const [extensions, text] = (await page.evaluate(PAGE)) as [string, string];
  const bytes = wire.bytes() - before;
  expect(extensions).toContain("permessage-deflate");
  expect(text).toBe(TEXT);
  // In both directions, with all that was said beside it.
  expect(bytes).toBeLessThan(TEXT.length / 2);
});

/** A port that leads to another, and counts what passes in both directions. */
async function counted(to: number): Promise<{ readonly port: number; bytes(): number }> {
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
  };
  const proxy = createServer((from) => {
    const on = connect(to, "127.0.0.1");
    for (const socket of [from, on]) socket.on("data", count).on("error", () => {});
    from.pipe(on).pipe(from);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    proxy.close();
  });
  return { port: (proxy.address() as AddressInfo).port, bytes: () => bytes };
}
