/** Tokens on a self-hosted server, over real sockets and with a real issuer. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import {
  type Backends,
  createLogger,
  createServer,
  parseConfig,
  type Server,
  StartError,
} from "../../src/server/index.ts";
import { Client, type ConnectInit, kindOf, texts, valueAs } from "../support/client.ts";
import { endingIn, goodToken, jwkOf, KEYS, pemOf, SECRET, tokenOf } from "../support/tokens.ts";
import { runCli } from "./process.ts";

const servers: Server[] = [];
const issuers: HttpServer[] = [];
const HS256 = { hmac_secret: SECRET, algorithms: ["HS256"] };

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const issuer of issuers.splice(0)) {
    issuer.closeAllConnections();
    issuer.close();
  }
});

interface World {
  readonly lines: string[];
  open(value: ConnectInit, extended?: boolean): Promise<Client<WebSocket>>;
}

async function start(auth: object, backends: Backends = {}, level: "debug" | "info" = "info") {
  const lines: string[] = [];
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener, drain_timeout: "100ms" },
      transport: { websocket: listener, grpc: listener },
      auth,
    }),
    logger: createLogger(level, { write: (line) => lines.push(line) }),
    backends,
  });
  servers.push(server);
  const ports = await server.start();
  const open: World["open"] = async (value, extended = true) => {
    const url = `ws://127.0.0.1:${ports.websocket}/ws`;
    const socket = new WebSocket(url, [codecFor("json").subprotocol]);
    const client = new Client<WebSocket>(socket, { encoding: "json", extended });
    await once(socket, "open");
    await client.connect(value);
    return client;
  };
  return { lines, open };
}

/** What a client that has connected was told first. */
function first(client: Client<WebSocket>): string {
  const [reply] = client.replies;
  return reply === undefined ? "nothing" : kindOf(reply);
}

test("a good token connects its user, and every other ends in the same words", async () => {
  const { lines, open } = await start({ jwt: HS256 });
  const good = await open({ token: goodToken({ sub: "ada", ...endingIn(60) }) });
  const [reply] = good.replies;
  expect(valueAs(reply as NonNullable<typeof reply>, "connected").userId).toBe("ada");
  const bad = {
    missing: "",
    form: "hunter2",
    expiry: goodToken({ sub: "ada", ...endingIn(-60) }),
    signature: goodToken({ sub: "ada", ...endingIn(60) }, `${SECRET}!`),
  };
  for (const token of Object.values(bad)) {
    for (const extended of [true, false]) {
      const client = await open({ token }, extended);
      const error = valueAs(client.replies[0] as NonNullable<typeof reply>, "error");
      expect([error.code, error.type, error.message]).toEqual([
        "AUTH_ERROR",
        "auth_error",
        "authentication failed",
      ]);
      expect(await client.closed()).toEqual({ code: 3500, reason: "invalid token" });
    }
  }
  const refused = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ message }) => message === "client refused");
  const checks = Object.keys(bad).flatMap((check) => [check, check]);
  expect(refused.map(({ check }) => check)).toEqual(checks);
});

test("a flood of refused clients does not flood the log", async () => {
  const { lines, open } = await start(
    { jwt: HS256, required: false },
    {
      rpc: async () => {
        throw new Error("no route");
      },
    },
  );
  const refused = await Promise.all(Array.from({ length: 60 }, () => open({ token: "hunter2" })));
  for (const client of refused) expect(first(client)).toBe("error AUTH_ERROR");
  const client = await open({});
  for (let i = 0; i < 60; i++) expect(kindOf(await client.rpc("m", "x"))).toBe("error PROXY_ERROR");
  const counted = (message: string) => lines.filter((line) => line.includes(message)).length;
  // One more in three seconds, however slow the machine is.
  for (const message of ["client refused", "backend call failed"]) {
    expect(counted(message)).toBeGreaterThanOrEqual(20);
    expect(counted(message)).toBeLessThan(40);
  }
});

test("nothing of a token is in the log, at any level, whatever becomes of it", async () => {
  const marker = "marker-4711";
  const encoded = Buffer.from(`"${marker}"`).toString("base64url").slice(2, 12);
  const { lines, open } = await start({ jwt: HS256 }, {}, "debug");
  const marked = (claims: object, header: object = {}, secret = SECRET) =>
    tokenOf({ alg: "HS256", kid: marker, [marker]: marker, ...header }, claims, secret);
  const tokens = [
    marked({ sub: "ada", jti: marker, more: marker, ...endingIn(60) }),
    marked({ sub: "ada", ...endingIn(60) }, {}, marker),
    marked({ sub: "ada", ...endingIn(60) }, { crit: [marker] }),
    marked({ sub: "ada", ...endingIn(60) }, { alg: marker }),
    marked({ sub: { marker }, ...endingIn(60) }),
    marked({ sub: "ada", channels: [marker, "a..b"], ...endingIn(60) }),
    marked({ sub: "ada", iss: marker, exp: marker }),
    `${marker}.${marker}.${marker}`,
    marker.repeat(1_000),
  ];
  for (const token of tokens)
    await open({ token, subscriptions: [{ channel: "a", token: marker }] });
  await expect.poll(() => lines.filter((line) => line.includes("client refused")).length).toBe(8);
  const log = lines.join("");
  expect(log).not.toContain(marker);
  expect(log).not.toContain(encoded);
  for (const token of tokens) expect(log).not.toContain(token.split(".")[1] ?? token);
});

test("the channels of a token are there from connect on, for clients of both kinds", async () => {
  const { open } = await start({ jwt: HS256 });
  const token = goodToken({ sub: "ada", channels: ["user.ada", "news.*"], ...endingIn(60) });
  const publisher = await open({ token: goodToken({ sub: "bob", ...endingIn(60) }) });
  for (const extended of [true, false]) {
    const client = await open({ token, subscriptions: [{ channel: "own" }] }, extended);
    const { subscriptions } = valueAs(
      client.replies[0] as NonNullable<(typeof client.replies)[0]>,
      "connected",
    );
    expect(subscriptions.map(({ channel }) => channel)).toEqual(
      extended ? ["own", "user.ada", "news.*"] : ["own"],
    );
    for (const channel of ["user.ada", "news.today"]) await publisher.publish(channel, channel);
    expect(texts(await client.received(2)).toSorted()).toEqual(["news.today", "user.ada"]);
  }
});

describe("an issuer", () => {
  async function issue(answer: () => unknown): Promise<{ url: string; asked: () => number }> {
    let asked = 0;
    const issuer = createHttpServer((_, response) => {
      asked += 1;
      const value = answer();
      if (value !== undefined) response.end(JSON.stringify(value));
    });
    issuers.push(issuer);
    issuer.listen(0, "127.0.0.1");
    await once(issuer, "listening");
    const { port } = issuer.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/jwks.json`, asked: () => asked };
  }

  const by = (kid: string) =>
    tokenOf({ alg: "ES256", kid }, { sub: "ada", ...endingIn(60) }, KEYS.ES256.privateKey);

  test("has its keys fetched once for all, and once more for those that nobody knows", async () => {
    let kid = "old";
    const issuer = await issue(() => ({ keys: [jwkOf("ES256", { kid })] }));
    const { open } = await start({ jwt: { jwks_url: issuer.url, algorithms: ["ES256"] } });
    expect(first(await open({ token: by("old") }))).toBe("connected");
    expect(issuer.asked()).toBe(1);
    kid = "new";
    expect(first(await open({ token: by("new") }))).toBe("connected");
    const flood = Array.from({ length: 30 }, (_, index) => open({ token: by(`made-up-${index}`) }));
    const told = new Set((await Promise.all(flood)).map(first));
    expect(told).toEqual(new Set(["error AUTH_ERROR"]));
    expect(issuer.asked()).toBe(2);
  });

  test("that is away has refused nobody, and the server starts and serves without it", async () => {
    const issuer = await issue(() => undefined);
    issuers[0]?.closeAllConnections();
    issuers[0]?.close();
    const auth = { required: false, jwt: { jwks_url: issuer.url, algorithms: ["ES256"] } };
    const { open, lines } = await start(auth);
    const client = await open({ token: by("k") });
    expect(first(client)).toBe("error UNAVAILABLE");
    expect((await client.closed()).code).toBe(1011);
    const v1 = await open({ token: by("k") }, false);
    expect(first(v1)).toBe("error AUTH_ERROR");
    expect((await v1.closed()).code).toBe(3500);
    expect(first(await open({}))).toBe("connected");
    expect(lines.join("")).toContain("the issuer's keys cannot be fetched");
  });
});

test("a server that requires tokens and could read none does not start", async () => {
  await expect(start({ required: true })).rejects.toThrow(StartError);
  await expect(start({ required: true })).rejects.toThrow(/^auth\.required: needs somebody/);
  const authenticate = async () => ({ userId: "ada" });
  const { open } = await start({ required: true }, { authenticate });
  expect(first(await open({ token: "sesame" }))).toBe("connected");
  expect(first(await open({}))).toBe("error AUTH_ERROR");
});

test("check says that serve would not start so, unless the configuration names a backend", async () => {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-check-"));
  try {
    const file = join(folder, "config.yaml");
    const users = { name: "users", endpoint: "http://127.0.0.1:1/" };
    const named = { proxy: [users], hooks: { authenticate: "users" } };
    for (const [more, warned] of [
      [{}, true],
      [{ proxy: [users], hooks: {} }, true],
      [named, false],
    ] as const) {
      await writeFile(file, JSON.stringify({ auth: { required: true }, ...more }));
      const { code, stderr } = await runCli(["check", "--config", file]);
      expect([code, stderr.includes("auth.required: needs somebody")]).toEqual([0, warned]);
    }
    await writeFile(file, JSON.stringify({ auth: { required: true } }));
    const { code, stderr } = await runCli(["serve", "--config", file]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^auth\.required: needs somebody/)]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("messageloop token", () => {
  const env = { MESSAGELOOP_AUTH_JWT_HMAC_SECRET: SECRET };

  async function configured<T>(auth: object, use: (file: string, folder: string) => Promise<T>) {
    const folder = await mkdtemp(join(tmpdir(), "messageloop-token-"));
    try {
      const file = join(folder, "config.yaml");
      await writeFile(file, JSON.stringify({ auth }));
      return await use(file, folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("makes what a server of the same configuration takes", async () => {
    const auth = { jwt: { algorithms: ["HS256"], issuer: ["me", "you"], audience: "app" } };
    const args = ["--user", "ada", "--id", "t1", "--channel", "user.ada", "--ttl", "10m"];
    const more = ["--client", "test", "--grant", "chat.**=subscribe,publish", "--json"];
    const { code, stdout, stderr } = await configured(auth, (file) =>
      runCli(["token", "--config", file, ...args, ...more], { env }),
    );
    expect([code, stderr]).toEqual([0, ""]);
    const { token, expiresAt } = JSON.parse(stdout) as { token: string; expiresAt: number };
    expect(Math.abs(expiresAt - Date.now() - 600_000)).toBeLessThan(60_000);
    const { open } = await start({ jwt: { ...auth.jwt, hmac_secret: SECRET } });
    const client = await open({ token });
    const [reply] = client.replies;
    const connected = valueAs(reply as NonNullable<typeof reply>, "connected");
    expect(connected.userId).toBe("ada");
    expect(connected.subscriptions.map(({ channel }) => channel)).toEqual(["user.ada"]);
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    expect(claims).toMatchObject({
      iss: "me",
      aud: "app",
      sub: "ada",
      jti: "t1",
      client: "test",
      channels: ["user.ada"],
      grants: [{ pattern: "chat.**", actions: ["subscribe", "publish"] }],
    });
  });

  test("reads auth alone: the rest may be for Workers, and its secrets need not be here", async () => {
    const folder = await mkdtemp(join(tmpdir(), "messageloop-token-"));
    try {
      const file = join(folder, "config.yaml");
      const proxy = [{ name: "app", binding: "APP", signing_secrets: [{ secret: "HOOKS" }] }];
      const auth = { jwt: { hmac_secret: { secret: "TOKENS" }, algorithms: ["HS256"] } };
      await writeFile(file, JSON.stringify({ auth, proxy, hooks: { connected: "app" } }));
      const args = ["token", "--config", file, "--user", "ada"];
      const { code, stdout, stderr } = await runCli(args, { env: { TOKENS: SECRET } });
      expect([code, stderr]).toEqual([0, ""]);
      const { open } = await start({ jwt: { ...auth.jwt, hmac_secret: SECRET } });
      expect(first(await open({ token: stdout.trim() }))).toBe("connected");
      const without = await runCli(args);
      expect([without.code, without.stderr]).toEqual([
        2,
        `${file}: auth.jwt.hmac_secret: is missing: the environment has no variable TOKENS\n`,
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("signs with a private key as well", async () => {
    const jwt = { public_key: pemOf(KEYS.EdDSA.publicKey), algorithms: ["EdDSA"] };
    const pkcs8 = (alg: keyof typeof KEYS) =>
      KEYS[alg].privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    await configured({ jwt }, async (file, folder) => {
      const key = join(folder, "key.pem");
      const args = ["token", "--config", file, "--user", "ada", "--private-key", key];
      await writeFile(key, pkcs8("EdDSA"));
      const { stdout } = await runCli(args);
      const { open } = await start({ jwt });
      expect(first(await open({ token: stdout.trim() }))).toBe("connected");
      await writeFile(key, pkcs8("ES256"));
      expect((await runCli(args)).stderr).toBe(
        "auth.jwt.algorithms has no ES256, by which this key signs\n",
      );
      await writeFile(key, "no key");
      const { code, stderr } = await runCli(args);
      expect([code, stderr]).toEqual([
        2,
        "the private key is no private key of RSA, P-256 or Ed25519 in PKCS #8\n",
      ]);
    });
  });

  test.each<[string[], RegExp]>([
    [[], /required option '--user <id>' not specified/],
    [["--user", ""], /^userId is empty/],
    [["--user", "ada", "--ttl", "soon"], /It must be a duration of at least 1s/],
    [["--user", "ada", "--channel", "a..b"], /^channels is no channel or pattern/],
    [["--user", "ada", "--grant", "chat"], /It must be a pattern and some of subscribe/],
    [["--user", "ada", "--grant", "chat=fly"], /It must be a pattern and some of subscribe/],
    [["--user", "ada", "--private-key", "/nowhere"], /^cannot read \/nowhere: ENOENT/],
  ])("%j is wrong", async (args, sentence) => {
    const { code, stdout, stderr } = await configured({ jwt: { algorithms: ["HS256"] } }, (file) =>
      runCli(["token", "--config", file, ...args], { env }),
    );
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("needs something to sign with", async () => {
    const { code, stderr } = await runCli(["token", "--user", "ada"]);
    expect([code, stderr]).toEqual([2, "it needs auth.jwt.hmac_secret, or --private-key\n"]);
  });
});
