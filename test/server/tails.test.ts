/** Long polls on connections of HTTP/1.1: what keeps them, and clients that have gone. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { background } from "../../src/engine/background.ts";
import type { TailTerms } from "../../src/http/history/tail.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { Connections } from "../../src/server/transport/connections.ts";
import { httpServer, SILENCE_MS } from "../../src/server/transport/listeners.ts";
import { patiently, tailsOf } from "../../src/server/transport/tails.ts";
import { QuietBroker, sceneWith } from "../engine/scene.ts";

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

test("an answer that takes long is waited for, and has to be read as soon as any other", async () => {
  const seen: unknown[] = [];
  const server = await httpServer(undefined, (_, response) => {
    const socket = response.socket;
    seen.push(socket?.timeout);
    const answered = patiently(response, async () => {
      seen.push(socket?.timeout);
    });
    background(
      answered.then(() => {
        seen.push(socket?.timeout);
        response.end("there");
      }),
      { warn: () => {} },
      "an answer",
    );
  });
  const port = await listening(server as ReturnType<typeof createServer>);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("there");
  expect(seen).toEqual([SILENCE_MS, 0, SILENCE_MS]);
  server.close();
});

test("a client that has gone before its poll begins leaves no session", async () => {
  const asked = Promise.withResolvers<[IncomingMessage, ServerResponse]>();
  const server = createServer((...both) => asked.resolve(both));
  const port = await listening(server);
  const controller = new AbortController();
  fetch(`http://127.0.0.1:${port}/`, { signal: controller.signal }).catch(() => {});
  const [, outgoing] = await asked.promise;
  const closed = once(outgoing, "close");
  controller.abort();
  await closed;
  const { engine } = sceneWith(new QuietBroker());
  const before = engine.sessionCount;
  const connections = new Connections({ limit: 10, sessions: () => engine.sessionCount });
  const logger = { warn: () => {} };
  const options = { engine, connections, logger, sessionId: () => "poll", maxQueueBytes: 1_000 };
  const over = Promise.withResolvers<void>();
  const terms: TailTerms = {
    userId: "",
    issuedAt: undefined,
    address: "",
    connect: create(InboundMessageSchema, { envelope: { case: "connect", value: {} } }),
    take: () => {},
    ended: () => over.resolve(),
  };
  const end = await tailsOf({ ...options, ready: () => true }, outgoing)(terms);
  await over.promise;
  end();
  expect([engine.sessionCount, connections.size]).toEqual([before, 0]);
  server.close();
});
