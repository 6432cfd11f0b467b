/** The settings `proxy` and `hooks` on both hosts: what they come to, and what is said of mistakes. */
import { expect, test } from "vitest";
import { SettingsError } from "../../src/engine/settings/settings.ts";
import type { BackendConfig, ProxyConfig } from "../../src/proxy/backend-config.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { settingsOf } from "../../src/worker/settings.ts";

const URL_OF_SHOP = "https://shop.internal/hooks";

function onServer(settings: object, _bindings: object = {}): ProxyConfig {
  return parseConfig(settings).proxy;
}

function onWorker(settings: object, bindings: object = {}): ProxyConfig {
  return settingsOf({ messageloop: settings, ...bindings }).proxy;
}

function problems(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.message.split("\n").toSorted();
    throw error;
  }
  throw new Error("it was taken");
}

/** What is wrong with one backend on the self-hosted server. */
function wrong(backend: object): string[] {
  return problems(() => onServer({ proxy: [backend] }));
}

function only(config: ProxyConfig): BackendConfig {
  return config.backends[0] as BackendConfig;
}

const DEFAULTS: BackendConfig = {
  name: "proxy.0",
  kind: "http",
  url: URL_OF_SHOP,
  binding: undefined,
  timeouts: { rpc: 30_000, access: 5_000, events: 30_000 },
  payload: "json",
  batchEvents: false,
  encoding: "proto",
  signingSecrets: [],
  headers: {},
  tls: { serverName: undefined, insecureSkipVerify: false },
  allowedAddresses: [],
  maxResponseBytes: 1_048_576,
  concurrency: 256,
  queue: 1_024,
  circuit: { failures: 20, pauseMs: 5_000 },
  routes: [],
};

test.each([
  ["the self-hosted server", onServer],
  ["Workers", onWorker],
])("on %s a backend needs no more than an endpoint", (_, read) => {
  expect(read({ proxy: [{ endpoint: URL_OF_SHOP }] })).toEqual({
    backends: [DEFAULTS],
    hooks: { authenticate: undefined, subscribe: undefined, events: {}, byRoutes: false },
    rpcEcho: false,
    warnings: [],
  });
});

test.each([
  ["the self-hosted server", onServer],
  ["Workers", onWorker],
])("on %s everything can be set", (_, read) => {
  const secret = "thirty-two characters of a secret";
  const { backends, hooks, rpcEcho } = read(
    {
      server: { rpc_timeout: "2s", auth_timeout: "3s", rpc_echo: true },
      proxy: [
        {
          name: "shop",
          endpoint: "http://10.0.0.1:8080/hooks?tenant=1",
          timeout: "2500ms",
          allow_plaintext: true,
          allowed_addresses: ["169.254.1.1"],
          signing_secrets: read === onWorker ? [{ secret: "SIGNING" }] : [secret],
          response_bytes: 2_048,
          concurrency: 3,
          queue: 4,
          circuit_breaker: { failures: 5, pause: "6s" },
          http: { payload: "v0.1.1", headers: { "X-Tenant": "a" } },
          routes: [{ channel: "shop.*", method: "*" }, { method: "buy" }],
        },
      ],
      hooks: { authenticate: "shop", subscribe: "shop" },
    },
    { SIGNING: secret },
  );
  expect(backends).toEqual([
    {
      ...DEFAULTS,
      name: "shop",
      url: "http://10.0.0.1:8080/hooks?tenant=1",
      timeouts: { rpc: 2_000, access: 2_500, events: 2_500 },
      payload: "v0.1.1",
      signingSecrets: [Uint8Array.from(Buffer.from(secret))],
      headers: { "x-tenant": "a" },
      allowedAddresses: ["169.254.1.1"],
      maxResponseBytes: 2_048,
      concurrency: 3,
      queue: 4,
      circuit: { failures: 5, pauseMs: 6_000 },
      routes: [
        { channel: "shop.*", method: "*" },
        { channel: "", method: "buy" },
      ],
    },
  ]);
  expect(hooks).toEqual({ authenticate: "shop", subscribe: "shop", events: {}, byRoutes: false });
  expect(rpcEcho).toBe(true);
});

test("an RPC that no backend is for comes back where there is no backend, unless it is set", () => {
  expect(onServer({}).rpcEcho).toBe(true);
  expect(onServer({ server: { rpc_echo: false } }).rpcEcho).toBe(false);
  expect(onServer({ proxy: [{ endpoint: URL_OF_SHOP }] }).rpcEcho).toBe(false);
});

test.each([
  ["https://a.example", {}, "http", "https://a.example"],
  ["http://localhost:1/x", {}, "http", "http://localhost:1/x"],
  ["https://a.example", { http: {} }, "http", "https://a.example"],
  ["https://a.example/api", { connect: {} }, "connect", "https://a.example/api"],
  ["a.example:9091", {}, "grpc", "https://a.example:9091"],
  ["a.example:9091", { grpc: {} }, "grpc", "https://a.example:9091"],
  ["10.0.0.1:9091", { grpc: { insecure: true } }, "grpc", "http://10.0.0.1:9091"],
  ["dns:///a.example:9091", { grpc: {} }, "grpc", "https://a.example:9091"],
  ["https://a.example:9091", { grpc: {} }, "grpc", "https://a.example:9091"],
  ["http://127.0.0.1:9091", { grpc: {} }, "grpc", "http://127.0.0.1:9091"],
])("the endpoint %s with %j is spoken to by %s", (endpoint, more, kind, url) => {
  expect(only(onServer({ proxy: [{ endpoint, ...more }] }))).toMatchObject({ kind, url });
});

const PLAIN = "proxy.0.endpoint: must be https to another machine; allow_plaintext allows http";
const NO_URL = "proxy.0.endpoint: must be a URL such as https://backend.example/hooks";
const LINK_LOCAL =
  "proxy.0.endpoint: is a link-local address, which allowed_addresses does not name";

test.each([
  ["http://a.example", PLAIN],
  ["http://10.0.0.1/", PLAIN],
  ["http://localhost.example/", PLAIN],
  ["ftp://a.example", NO_URL],
  ["file:///etc/passwd", NO_URL],
  ["a.example:8080", NO_URL],
  ["/hooks", NO_URL],
  ["https://", NO_URL],
  [
    "https://ada:hunter2@a.example",
    "proxy.0.endpoint: must not hold a user or a password: use a header",
  ],
  ["https://a.example/#x", "proxy.0.endpoint: must not have a fragment"],
  ["https://169.254.169.254/latest", LINK_LOCAL],
  // Forms that a URL makes the same address of.
  ["https://2852039166/", LINK_LOCAL],
  ["https://0xa9fea9fe/", LINK_LOCAL],
  ["https://0251.0376.0251.0376/", LINK_LOCAL],
  ["https://169.16689662/", LINK_LOCAL],
  ["https://169.254.169.254./", LINK_LOCAL],
  ["https://[::ffff:169.254.169.254]/", LINK_LOCAL],
  ["https://[::ffff:a9fe:a9fe]/", LINK_LOCAL],
  ["https://[fe80::1]/", LINK_LOCAL],
  [
    "https://[fd00:ec2::254]/",
    "proxy.0.endpoint: is a metadata service, which allowed_addresses does not name",
  ],
  ["https://0/", "proxy.0.endpoint: is no host's address, which allowed_addresses does not name"],
  ["", "proxy.0.endpoint: must be a URL, or host:port of gRPC"],
  [8080, "proxy.0.endpoint: must be a URL, or host:port of gRPC"],
])("the endpoint %j is refused, and not quoted", (endpoint, problem) => {
  expect(wrong({ endpoint, http: {} })).toEqual([problem]);
});

test("a metadata service that is meant is named", () => {
  const endpoint = "https://169.254.169.254/";
  const allowed_addresses = ["169.254.169.254"];
  expect(only(onServer({ proxy: [{ endpoint, allowed_addresses }] })).url).toBe(endpoint);
});

test.each([
  [{ endpoint: "a:1", grpc: {}, connect: {} }, "connect: does nothing beside grpc"],
  [{ endpoint: "a:1", grpc: {}, http: {} }, "http: does nothing beside grpc"],
  [{ endpoint: URL_OF_SHOP, connect: {}, http: {} }, "http: does nothing beside connect"],
  [{}, "endpoint: is missing"],
  [{ endpoint: "a:1/x", grpc: {} }, "endpoint: must not have a path"],
  [{ endpoint: "https://a.example/?b", connect: {} }, "endpoint: must not have a query"],
  [{ endpoint: "http://a.example:1", grpc: {} }, "endpoint: must be with TLS"],
  [{ endpoint: URL_OF_SHOP, binding: "SHOP" }, "binding: is a setting of Workers alone"],
  [{ endpoint: URL_OF_SHOP, timeout: "0s" }, "timeout: must be at least 1ms"],
  [{ endpoint: URL_OF_SHOP, timeout: 30 }, 'timeout: must be a duration such as "30s"'],
  [{ endpoint: URL_OF_SHOP, response_bytes: 1 }, "response_bytes: must be a whole number"],
  [{ endpoint: URL_OF_SHOP, concurrency: 0 }, "concurrency: must be a whole number"],
  [{ endpoint: URL_OF_SHOP, circuit_breaker: { failures: 0 } }, "circuit_breaker.failures: must"],
  [{ endpoint: URL_OF_SHOP, http: { headers: { Host: "x" } } }, "http.headers.Host: is a header"],
  [{ endpoint: URL_OF_SHOP, http: { headers: { "a b": "x" } } }, "http.headers.a b: must be the"],
  [{ endpoint: URL_OF_SHOP, http: { headers: { a: "x\ny" } } }, "http.headers.a: must be a text"],
  [{ endpoint: URL_OF_SHOP, http: { headers: { a: 1 } } }, "http.headers.a: must be a text"],
  [{ endpoint: URL_OF_SHOP, http: { headers: "a: b" } }, "http.headers: must be a table of texts"],
  [{ endpoint: URL_OF_SHOP, http: { payload: "xml" } }, "http.payload: must be one of json"],
  [{ endpoint: URL_OF_SHOP, http: { tls: { servername: "x" } } }, "http.tls.servername: is not a"],
  [{ endpoint: URL_OF_SHOP, connect: { encoding: "x" } }, "connect.encoding: must be one of"],
  [{ endpoint: URL_OF_SHOP, signing_secrets: ["short"] }, "signing_secrets.0: must be a text of"],
  [{ endpoint: URL_OF_SHOP, allowed_addresses: ["metadata"] }, "allowed_addresses.0: must be an"],
  [{ endpoint: URL_OF_SHOP, name: "" }, "name: must be a name"],
  [{ endpoint: URL_OF_SHOP, name: "a\nb" }, "name: must be a name"],
  [{ endpoint: URL_OF_SHOP, routes: [{ channel: "[a" }] }, "routes.0.channel: is a pattern that"],
  [{ endpoint: URL_OF_SHOP, routes: [{ methods: "*" }] }, "routes.0.methods: is not a setting"],
])("%j is an error that names the path", (backend, problem) => {
  expect(wrong(backend)).toEqual([expect.stringContaining(`proxy.0.${problem}`)]);
});

test("secrets are at most two, and go with what can be signed", () => {
  const secrets = (count: number) =>
    Array.from({ length: count }, (_, place) => `${place} is a secret of thirty-two bytes`);
  expect(wrong({ endpoint: URL_OF_SHOP, signing_secrets: secrets(3) })).toEqual([
    "proxy.0.signing_secrets: must be a list of at most 2 texts",
  ]);
  expect(wrong({ endpoint: "a:1", grpc: {}, signing_secrets: secrets(1) })).toEqual([
    "proxy.0.signing_secrets: cannot be had with grpc, whose requests are not signed",
  ]);
});

test("the value of a header may be a secret, and a signing secret has to be one on Workers", () => {
  const headers = { authorization: { secret: "SHOP_KEY" }, "x-tenant": "a" };
  const proxy = [{ endpoint: URL_OF_SHOP, http: { headers } }];
  const secrets = { named: (name: string) => (name === "SHOP_KEY" ? "Bearer x" : undefined) };
  const expected = { authorization: "Bearer x", "x-tenant": "a" };
  expect(only(parseConfig({ proxy }, secrets).proxy).headers).toEqual(expected);
  expect(only(onWorker({ proxy }, { SHOP_KEY: "Bearer x" })).headers).toEqual(expected);
  expect(problems(() => onWorker({ proxy }))).toEqual([
    expect.stringMatching(
      /^proxy\.0\.http\.headers\.authorization: is missing: there is no secret/,
    ),
  ]);
  const open = [
    { endpoint: URL_OF_SHOP, signing_secrets: ["a secret of thirty-two bytes, in code"] },
  ];
  expect(problems(() => onWorker({ proxy: open }))).toEqual([
    expect.stringMatching(/^proxy\.0\.signing_secrets\.0: is a secret, which must not stand here/),
  ]);
  for (const name of [
    "Authorization",
    "Proxy-Authorization",
    "cookie",
    "X-Api-Key",
    "x-my-token",
  ]) {
    const bearing = [{ endpoint: URL_OF_SHOP, http: { headers: { [name]: "x" } } }];
    expect(only(onServer({ proxy: bearing })).headers).toEqual({ [name.toLowerCase()]: "x" });
    expect(problems(() => onWorker({ proxy: bearing }))).toEqual([
      expect.stringContaining(`proxy.0.http.headers.${name}: is a secret`),
    ]);
  }
});

test("every problem of every backend is told at once, and names are there once", () => {
  const proxy = [
    { endpoint: "http://a.example" },
    { endpoint: URL_OF_SHOP, name: "proxy.0" },
    { timeout: "x" },
  ];
  expect(problems(() => onServer({ proxy }))).toEqual([
    PLAIN,
    'proxy.2.timeout: must be a duration such as "30s"',
  ]);
  expect(problems(() => onServer({ proxy: [{ endpoint: URL_OF_SHOP }, { ...proxy[1] }] }))).toEqual(
    ["proxy.1.name: is the name of proxy.0 already"],
  );
  expect(problems(() => onServer({ proxy: "shop" }))).toEqual(["proxy: must be a list of tables"]);
});

test("hooks name backends that there are", () => {
  const proxy = [{ endpoint: URL_OF_SHOP, name: "shop" }];
  expect(
    problems(() => onServer({ proxy, hooks: { authenticate: "sohp", subscribe: "x" } })),
  ).toEqual([
    "hooks.authenticate: is no name of a backend",
    "hooks.subscribe: is no name of a backend",
  ]);
  expect(problems(() => onServer({ proxy, hooks: { connect: "shop" } }))).toEqual([
    expect.stringMatching(/^hooks\.connect: is not a setting/),
  ]);
  expect(problems(() => onServer({ hooks: { compatibility: "v0.1.1" } }))).toEqual([
    "hooks.compatibility: does nothing without proxy",
  ]);
  expect(problems(() => onServer({ proxy, hooks: { compatibility: "v0.2.0" } }))).toEqual([
    'hooks.compatibility: must be "v0.1.1"',
  ]);
  const both = { compatibility: "v0.1.1", authenticate: "shop" };
  expect(problems(() => onServer({ proxy, hooks: both }))).toEqual([
    "hooks.authenticate: does nothing with compatibility: routes decide, as in v0.1.1",
  ]);
});

test("a file of v0.1.1 whose routes had hooks is warned of, until it says who has them", () => {
  const everything = { name: "b", endpoint: "127.0.0.1:9091", grpc: { insecure: true } };
  const proxy = [{ ...everything, routes: [{ channel: "*", method: "*" }] }];
  expect(onServer({ proxy }).warnings).toEqual([
    expect.stringMatching(/^hooks\.authenticate: is not set/),
    expect.stringMatching(/^hooks\.subscribe: is not set/),
  ]);
  expect(onServer({ proxy, hooks: { authenticate: "b", subscribe: "b" } }).warnings).toEqual([]);
  expect(onServer({ proxy, hooks: { compatibility: "v0.1.1" } }).warnings).toEqual([]);
  const some = [{ ...everything, routes: [{ channel: "private.*", method: "subscribe" }] }];
  expect(onServer({ proxy: some }).warnings).toEqual([
    expect.stringMatching(/^hooks\.subscribe: is not set/),
  ]);
  // Whoever says anything of hooks, even that there are none, knows of them.
  expect(onServer({ proxy, hooks: {} }).warnings).toEqual([]);
  const rpcs = [{ ...everything, routes: [{ channel: "chat.*", method: "get" }] }];
  expect(onServer({ proxy: rpcs }).warnings).toEqual([]);
});

test("a certificate that nobody checks is warned of", () => {
  const proxy = [
    { name: "a", endpoint: URL_OF_SHOP, http: { tls: { insecure_skip_verify: true } } },
  ];
  expect(onServer({ proxy }).warnings).toEqual(["proxy: the certificate of a is not checked"]);
});

test("what a Worker cannot do is an error that says what it can", () => {
  const wrongs = (backend: object) => problems(() => onWorker({ proxy: [backend] }));
  expect(wrongs({ endpoint: "a.example:1", grpc: { insecure: true } })).toEqual([
    "proxy.0.grpc: is a setting of the self-hosted server alone; Workers have no gRPC: use connect",
  ]);
  expect(wrongs({ endpoint: "a.example:1" })).toEqual([
    "proxy.0.endpoint: is no URL, so it is one of gRPC, which Workers do not have: use connect",
  ]);
  const tls = { server_name: "a.example" };
  expect(wrongs({ endpoint: URL_OF_SHOP, http: { tls } })).toEqual([
    "proxy.0.http.tls: is a setting of the self-hosted server alone; Workers check every certificate themselves",
  ]);
});

test("a service binding has to be there, and needs no endpoint", () => {
  const shop = { fetch: async () => new Response() };
  const proxy = [{ binding: "SHOP" }];
  expect(only(onWorker({ proxy }, { SHOP: shop }))).toMatchObject({
    kind: "http",
    binding: "SHOP",
    url: "https://backend/",
  });
  const by = [{ binding: "SHOP", connect: {}, endpoint: "http://shop/api" }];
  expect(only(onWorker({ proxy: by }, { SHOP: shop }))).toMatchObject({
    kind: "connect",
    url: "http://shop/api",
  });
  for (const bindings of [{}, { SHOP: "text" }, { SHOP: { get: () => {} } }]) {
    expect(problems(() => onWorker({ proxy }, bindings))).toEqual([
      "proxy.0.binding: is no service binding of this Worker",
    ]);
  }
  expect(problems(() => onWorker({ proxy: [{ binding: "a b" }] }))).toEqual([
    "proxy.0.binding: must be the name of a service binding",
  ]);
});
