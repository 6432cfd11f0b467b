/** Tokens on the Worker as it is deployed: the secret from its own place, and an issuer that does what it likes. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf, texts, valueAs } from "../support/client.ts";
import { endingIn, goodToken, jwkOf, KEYS, SECRET, tokenOf } from "../support/tokens.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

let server: RunningServer;
let storage: string;
let issuer: Server;
let asked = 0;
/** What the issuer does when it is asked; an answer of its keys by default. */
let answer: (response: ServerResponse) => void;

const keysOf = (...kids: string[]) => ({ keys: kids.map((kid) => jwkOf("ES256", { kid })) });
const answering = (value: object) => (response: ServerResponse) => {
  response.end(JSON.stringify(value));
};

async function start(): Promise<RunningServer> {
  const { port } = issuer.address() as AddressInfo;
  const jwks_url = `http://127.0.0.1:${port}/jwks.json`;
  return await startWorkerd({
    storage,
    vars: {
      messageloop: { auth: { jwt: { jwks_url, algorithms: ["HS256", "ES256"] } } },
      MESSAGELOOP_AUTH_JWT_HMAC_SECRET: SECRET,
    },
  });
}

beforeAll(async () => {
  storage = await mkdtemp(join(tmpdir(), "messageloop-auth-"));
  issuer = createServer((_, response) => {
    asked += 1;
    answer(response);
  });
  issuer.listen(0, "127.0.0.1");
  await once(issuer, "listening");
  server = await start();
});

afterAll(async () => {
  await server?.stop();
  issuer?.closeAllConnections();
  issuer?.close();
  await rm(storage, { recursive: true, force: true });
});

async function open(token: string, extended = true): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, ["messageloop+json"]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended });
  await once(socket, "open");
  await client.connect({ token });
  return client;
}

const by = (kid: string) =>
  tokenOf({ alg: "ES256", kid }, { sub: "ada", ...endingIn(600) }, KEYS.ES256.privateKey);
const first = ({ replies: [reply] }: Client<WebSocket>) =>
  reply === undefined ? "nothing" : kindOf(reply);

// The issuer's keys are kept: the tests stand in the order in which they come and go.
test("while there are no keys of an issuer its tokens are UNAVAILABLE, whatever it answers", async () => {
  const hostile: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(302, { Location: "/elsewhere" }).end(),
    (response) => response.end("x".repeat(100_000)),
    (response) => response.end("<html>"),
    () => {},
  ];
  for (const one of hostile) {
    answer = one;
    const before = asked;
    // It is asked again when five seconds have passed.
    await expect
      .poll(
        async () => {
          const client = await open(by("k"));
          expect(first(client)).toBe("error UNAVAILABLE");
          expect((await client.closed()).code).toBe(1011);
          return asked;
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe(before + 1);
  }
});

test("a token of the secret connects its user, with its channels, for clients of both kinds", async () => {
  const token = goodToken({ sub: "ada", channels: ["user.ada"], ...endingIn(600) });
  for (const extended of [true, false]) {
    const client = await open(token, extended);
    const reply = client.replies[0] as NonNullable<(typeof client.replies)[0]>;
    const { subscriptions, userId } = valueAs(reply, "connected");
    expect(subscriptions.map(({ channel }) => channel)).toEqual(extended ? ["user.ada"] : []);
    expect(userId).toBe(extended ? "ada" : "");
    await client.publish("user.ada", "hello");
    expect(texts(await client.received(1))).toEqual(["hello"]);
    client.socket.close();
  }
});

test("every token that is not good ends in the same words, and the log says which check failed", async () => {
  const tokens = {
    missing: "",
    form: "hunter2",
    algorithm: tokenOf({ alg: "none" }, { sub: "ada", ...endingIn(600) }),
    expiry: goodToken({ sub: "ada", ...endingIn(-600) }),
    signature: goodToken({ sub: "ada", ...endingIn(600) }, `${SECRET}!`),
    subject: goodToken({ ...endingIn(600) }),
  };
  for (const token of Object.values(tokens)) {
    const client = await open(token);
    const reply = client.replies[0] as NonNullable<(typeof client.replies)[0]>;
    const { code, message } = valueAs(reply, "error");
    expect([code, message]).toEqual(["AUTH_ERROR", "authentication failed"]);
    expect((await client.closed()).code).toBe(3500);
  }
  for (const check of Object.keys(tokens)) {
    // What a Worker logs comes out a little later.
    await expect
      .poll(() => server.output(), { timeout: 10_000 })
      .toMatch(new RegExp(`client refused.*"check":"${check}"`));
  }
  const [, claims = ""] = tokens.expiry.split(".");
  expect(server.output()).not.toContain(claims);
  expect(server.output()).not.toContain("hunter2");
});

test("keys of an issuer that is back are good, and so is a new one", async () => {
  answer = answering(keysOf("old"));
  await expect
    .poll(async () => first(await open(by("old"))), { timeout: 20_000, interval: 500 })
    .toBe("connected");
  answer = answering(keysOf("new"));
  expect(first(await open(by("new")))).toBe("connected");
  const before = asked;
  const flood = Array.from({ length: 20 }, (_, index) => open(by(`made-up-${index}`)));
  expect(new Set((await Promise.all(flood)).map(first))).toEqual(new Set(["error AUTH_ERROR"]));
  expect(asked).toBe(before);
});

test("keys that were fetched serve on where a gateway wakes while the issuer is away", async () => {
  await server.stop();
  answer = (response) => response.writeHead(500).end();
  server = await start();
  const before = asked;
  expect(first(await open(by("new")))).toBe("connected");
  // They are still fresh.
  expect(asked).toBe(before);
});
