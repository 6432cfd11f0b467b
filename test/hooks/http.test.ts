/** Lifecycle events over real HTTP, checked by the library of the scheme that they are signed by. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { LIFECYCLE_KINDS } from "../../src/engine/ports/lifecycle.ts";
import { Hooks } from "../../src/hooks/hooks.ts";
import { MemoryOutbox } from "../../src/hooks/memory-outbox.ts";
import { httpTeller } from "../../src/hooks/tellers.ts";
import type { Post } from "../../src/proxy/http/call.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { event, type Form, hmac, termsOf } from "./scene.ts";

interface Verifier {
  /** @throws for what is not signed by the secret, or not now */
  verify(body: string, headers: Record<string, string>): unknown;
}

/** By a name that the compiler does not follow: only this test needs the library. */
const LIBRARY: string = "standardwebhooks";
const { Webhook } = (await import(LIBRARY)) as { Webhook: new (secret: string) => Verifier };

const SECRETS = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill));
const verifierOf = (secret: Uint8Array | undefined): Verifier =>
  new Webhook(`whsec_${Buffer.from(secret ?? []).toString("base64")}`);

interface Received {
  readonly headers: Record<string, string>;
  readonly body: string;
}

const servers: Server[] = [];
const ending: Hooks[] = [];

afterEach(async () => {
  for (const hooks of ending.splice(0)) hooks.end();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function application(
  answer: (request: IncomingMessage, received: Received) => number | Promise<number> = () => 204,
) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const take = async (): Promise<void> => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, `${value}`]),
      );
      const one = { headers, body: await text(request) };
      received.push(one);
      response.statusCode = await answer(request, one);
      response.end("<html>whatever it says");
    };
    take().catch(() => response.destroy());
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { received, server, port };
}

/** Requests without redirects, within their time. */
function postTo(port: number): Post {
  return async ({ headers, contentType, body }, _, timeoutMs) => {
    const response = await fetch(`http://127.0.0.1:${port}/hooks`, {
      method: "POST",
      headers: { ...headers, "content-type": contentType },
      body: new Uint8Array(body),
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return { status: response.status, contentType: "", body: new Uint8Array() };
  };
}

function hooksTo(
  port: number,
  { form = "json" as Form, secrets = SECRETS.slice(0, 1), timeoutMs = 5_000, chance = 1 } = {},
): Hooks {
  const hooks = new Hooks({
    kinds: new Set(LIFECYCLE_KINDS),
    backends: [
      {
        name: "app",
        takes: () => true,
        ...httpTeller(termsOf(form, secrets, timeoutMs), postTo(port), {
          hmac,
          clock: { now: () => Date.now() },
        }),
      },
    ],
    outbox: new MemoryOutbox(),
    clock: { now: () => Date.now() },
    timers: {
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
    },
    random: { uuid: () => crypto.randomUUID() },
    logger: { warn: () => {} },
    chance: () => chance,
  });
  ending.push(hooks);
  return hooks;
}

const told = (session: string) => {
  const now = { time: Date.now() };
  return [event(session, "connected", now), event(session, "disconnected", now)];
};

test.each(["json", "v0.1.1", "cloudevents", "cloudevents in batches"] as const)(
  "the scheme's own library takes what is sent as %s, and nothing that was changed",
  async (form) => {
    const { received, port } = await application();
    const hooks = hooksTo(port, { form });
    await hooks.record(told("s"));
    await hooks.emptied();
    expect(received.length).toBe(form === "cloudevents in batches" ? 1 : 2);
    for (const { headers, body } of received) {
      expect(verifierOf(SECRETS[0]).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => verifierOf(SECRETS[1]).verify(body, headers)).toThrow();
      expect(() => verifierOf(SECRETS[0]).verify(`${body} `, headers)).toThrow();
      for (const change of ["webhook-id", "webhook-timestamp"]) {
        const changed = { ...headers, [change]: `${headers[change]}0` };
        expect(() => verifierOf(SECRETS[0]).verify(body, changed)).toThrow();
      }
    }
  },
);

test("with two secrets who knows either of them takes it, and who knows neither does not", async () => {
  const { received, port } = await application();
  const hooks = hooksTo(port, { secrets: SECRETS.slice(0, 2) });
  await hooks.record(told("s").slice(0, 1));
  await hooks.emptied();
  const [{ headers, body } = { headers: {}, body: "" }] = received;
  for (const secret of SECRETS.slice(0, 2)) verifierOf(secret).verify(body, headers);
  expect(() => verifierOf(SECRETS[2]).verify(body, headers)).toThrow();
});

test("a repetition is signed for its own time, and has the id of the first try", async () => {
  let tries = 0;
  const { received, port } = await application(() => {
    tries += 1;
    return tries === 1 ? 500 : 204;
  });
  const hooks = hooksTo(port);
  await hooks.record(told("s").slice(0, 1));
  await hooks.emptied();
  expect(received).toHaveLength(2);
  for (const { headers, body } of received) verifierOf(SECRETS[0]).verify(body, headers);
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(hooks.stats).toMatchObject({ delivered: 1, failures: 1 });
});

test("a backend that is slow, breaks off and is away is told in the end, in order", async () => {
  let asked = 0;
  let failures = 0;
  // It keeps its port, which another program might take and answer on.
  const away = (socket: Socket): unknown => socket.destroy();
  const { received, server, port } = await application(async () => {
    asked += 1;
    const nth = asked;
    if (nth === 1) await sleep(1_000);
    if (nth === 2) {
      failures = hooks.stats.failures;
      server.on("connection", away);
      server.closeAllConnections();
    }
    return nth === 3 ? 302 : 200;
  });
  const hooks = hooksTo(port, { timeoutMs: 500 });
  await hooks.record(told("s"));
  // The call that breaks off, and one that does not come through.
  await eventually(() => asked >= 2 && hooks.stats.failures >= failures + 2, Boolean, 40_000);
  server.off("connection", away);
  await eventually(() => hooks.stats.waiting === 0, Boolean, 40_000);
  const kinds = received.map(({ headers }) => headers["messageloop-hook"]);
  expect([...new Set(kinds)]).toEqual(["on_connected", "on_disconnected"]);
  expect(kinds.lastIndexOf("on_connected")).toBeLessThan(kinds.indexOf("on_disconnected"));
  console.info(`events that came more than once: ${received.length - 2} of ${received.length}`);
});
