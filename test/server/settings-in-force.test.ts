/** The settings that are in force: where each comes from, and nothing of a secret. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { settingsInForce } from "../../src/engine/settings/in-force.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { loadConfig } from "../../src/server/config/file.ts";

/** Stands in every secret. */
const PLANTED = "planted-and-not-to-be-seen-anywhere-0123456789abcdef";
const KEY = { id: "k", digest: "ab".repeat(32), rights: ["read"], patterns: ["**"] };

const FILE = `
limits: { channels: 10, publishes_per_second: 5 }
channels:
  - { pattern: "chat.**", history_size: 7 }
auth: { jwt: { hmac_secret: ${PLANTED}, algorithms: [HS256] } }
api:
  keys: [${JSON.stringify(KEY)}]
  ticket_keys: { secret: TICKETS }
broker: { type: redis, redis: { url: "redis://ann:${PLANTED}@localhost:6379" } }
proxy:
  - name: shop
    endpoint: "https://shop.example/hook?token=${PLANTED}"
    signing_secrets: ["${PLANTED}"]
    http: { headers: { x-api-key: "${PLANTED}", x-team: red } }
hooks: {}
`;

async function loaded(env: Readonly<Record<string, string>>) {
  const file = join(mkdtempSync(join(tmpdir(), "messageloop-settings-")), "config.yaml");
  writeFileSync(file, FILE);
  const tickets = JSON.stringify([{ id: "t", secret: PLANTED }]);
  const { inForce } = await loadConfig({ config: file, env: { TICKETS: tickets, ...env } });
  return { file, inForce, of: (path: string) => inForce.find((one) => one.path === path) };
}

test("each setting has its value and where it comes from: default, file or environment", async () => {
  const { file, of } = await loaded({ MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:1" });
  const own = { secret: false, source: "file", origin: file };
  expect(of("limits.channels")).toEqual({ path: "limits.channels", value: "10", ...own });
  expect(of("channels.0.history_size")).toMatchObject({ value: "7", ...own });
  expect(of("channels.0.presence")).toBeUndefined();
  expect(of("transport.websocket.addr")).toMatchObject({
    value: "127.0.0.1:1",
    source: "environment",
    origin: "MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR",
  });
  expect(of("server.drain_timeout")).toMatchObject({ value: "10s", source: "default", origin: "" });
  // A table that is not there has no settings, and one of another host is none.
  expect(of("transport.websocket.tls.cert")).toBeUndefined();
  expect(of("limits.sockets_per_gateway")).toBeUndefined();
  expect(of("proxy.0.http.headers.x-team")).toMatchObject({ value: "red", ...own });
});

test("secrets are not shown, wherever they stand, but where they are", async () => {
  const keys = JSON.stringify([KEY]);
  const { file, inForce, of } = await loaded({ MESSAGELOOP_API_KEYS: keys });
  const text = JSON.stringify(inForce);
  expect(text).not.toContain(PLANTED.slice(0, 20));
  expect(text).not.toContain(KEY.digest);
  const hidden = { value: "", secret: true };
  expect(of("auth.jwt.hmac_secret")).toMatchObject({ ...hidden, source: "file", origin: file });
  expect(of("api.ticket_keys")).toMatchObject({
    ...hidden,
    source: "environment",
    origin: "TICKETS",
  });
  expect(of("api.keys")).toMatchObject({
    ...hidden,
    source: "environment",
    origin: "MESSAGELOOP_API_KEYS",
  });
  expect(of("broker.redis.url")).toMatchObject(hidden);
  expect(of("proxy.0.signing_secrets")).toMatchObject(hidden);
  expect(of("proxy.0.http.headers.x-api-key")).toMatchObject(hidden);
  expect(of("proxy.0.endpoint")?.value).toBe("https://shop.example/hook?…");
  expect(of("channels")).toBeUndefined();
});

test("what is in force without a file is every default, and what a program has written is the program's", () => {
  expect(parseConfig({}).inForce.every(({ source }) => source === "default")).toBe(true);
  const { inForce } = parseConfig({ limits: { channels: 3 } });
  const written = inForce.filter(({ source }) => source !== "default");
  expect(written).toMatchObject([{ path: "limits.channels", value: "3", source: "program" }]);
  const of = (path: string) => inForce.find((one) => one.path === path)?.value;
  expect([of("channels"), of("access.rules"), of("limits.channels")]).toEqual(["[]", "[]", "3"]);
});

test("a Worker has settings of its own, and none of the other host", () => {
  const origin = () => ({ source: "file", origin: "" }) as const;
  const written = { proxy: [{ endpoint: `https://ann:${PLANTED}@shop.example/` }] };
  const all = settingsInForce(configSchema, written, "worker", origin);
  expect(all.find(({ path }) => path === "proxy.0.endpoint")?.value).toBe(
    "https://…@shop.example/",
  );
  const paths = all.map(({ path }) => path);
  expect(paths).toContain("limits.sockets_per_gateway");
  expect(paths.filter((path) => path.startsWith("broker"))).toEqual([]);
});
