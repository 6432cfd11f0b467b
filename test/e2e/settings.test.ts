/** A deployment whose settings are wrong says so at once, to its operator with the path. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf } from "../support/client.ts";
import { startWorkerd } from "../support/workerd.ts";
import { startWrangler } from "../support/wrangler.ts";

test.concurrent("a wrong setting makes every request answer 500 and stands in the log with its path", async ({
  expect,
}) => {
  const limits = { rpc_in_flight: 1, message_bytes: "64k" };
  const channels = [
    { pattern: "chat.*", history_size: 1 },
    { pattern: "**", history_size: 0 },
  ];
  const server = await startWorkerd({ vars: { messageloop: { limits, channels } } });
  try {
    for (const path of ["/", "/ws"]) {
      const response = await fetch(`${server.url}${path}`);
      expect(response.status).toBe(500);
      expect(await response.text()).toBe("wrong settings, see the log");
    }
    // What a Worker logs comes out a little later.
    await expect.poll(() => server.output(), { timeout: 10_000 }).toContain("wrong settings");
    expect(server.output()).toContain('"path":"limits.rpc_in_flight","message":"is not a setting"');
    expect(server.output()).toContain('"path":"limits.message_bytes"');
    expect(server.output()).toContain('"path":"channels.1.history_size"');
    expect(server.output()).not.toContain("channels.0");
  } finally {
    await server.stop();
  }
});

test.concurrent("a deployment with channel rules serves the channels that have some", async ({
  expect,
}) => {
  const channels = [
    { pattern: "chat.**", history_size: 1_000, history_ttl: "72h" },
    { pattern: "cursors.*", transient: true, exactly_once: false },
  ];
  const server = await startWorkerd({ vars: { messageloop: { channels } } });
  try {
    const client = await connected(server.url);
    for (const channel of ["chat.a.b", "cursors.a", "other"]) {
      expect(await client.publish(channel, "hello")).toBe(1);
    }
    client.socket.close();
  } finally {
    await server.stop();
  }
});

async function connected(url: string): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, ["messageloop+json"]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  expect(kindOf(await client.connect())).toBe("connected");
  return client;
}

/** The offset of what is published, or the code that closes the connection. */
async function publishing(url: string, data: string): Promise<number> {
  const client = await connected(url);
  const done = await client.publish("a", data).catch(async () => (await client.closed()).code);
  client.socket.close();
  return done;
}

test.concurrent("config.yaml holds for the Worker that is built with it, and its variables stand above", async ({
  expect,
}) => {
  const config = `
limits: { message_bytes: 2048, subscriptions_per_client: 1 }
api: { ticket_keys: [{ id: a, secret: { secret: TICKET_KEY } }] }
`;
  const storage = await mkdtemp(join(tmpdir(), "messageloop-config-"));
  const server = await startWrangler({
    config,
    storage,
    vars: {
      messageloop: { limits: { subscriptions_per_client: 2 } },
      TICKET_KEY: "a secret of at least 32 characters",
    },
  });
  try {
    expect(await publishing(server.url, "x".repeat(1_000))).toBe(1);
    expect(await publishing(server.url, "x".repeat(3_000))).toBe(1009);
    expect(server.output()).toContain("config.yaml is valid for Workers");
    const client = await connected(server.url);
    expect(kindOf(await client.subscribe("a", "b"))).toBe("subscribeAck");
    await client.subscribe("c").catch(() => {});
    expect(await client.closed()).toEqual({ code: 3505, reason: "channel limit" });
    // A change holds from the next deploy, which wrangler dev makes by itself.
    await writeFile(join(storage, "config.yaml"), config.replace("2048", "4096"));
    await expect
      .poll(() => publishing(server.url, "x".repeat(3_000)), { timeout: 30_000 })
      .toBeLessThan(1_000);
  } finally {
    await server.stop();
    await rm(storage, { recursive: true, force: true });
  }
});

test.concurrent("a secret that is not set makes every request answer 500 and stands in the log by its name", async ({
  expect,
}) => {
  const secret = "hunter2 hunter2 hunter2";
  const api = {
    keys: { secret: "API_KEYS" },
    ticket_keys: [{ id: "a", secret: { secret: "TICKET_KEY" } }],
  };
  const server = await startWorkerd({ vars: { messageloop: { api }, TICKET_KEY: secret } });
  try {
    for (const path of ["/health", "/ws"]) {
      const response = await fetch(`${server.url}${path}`);
      expect([response.status, await response.text()]).toEqual([
        500,
        "wrong settings, see the log",
      ]);
    }
    await expect.poll(() => server.output(), { timeout: 10_000 }).toContain("wrong settings");
    const problem = '"path":"api.keys","message":"is missing: there is no secret API_KEYS';
    expect(server.output()).toContain(problem);
    expect(server.output()).toContain("(in the secret TICKET_KEY)");
    expect(server.output()).not.toContain("hunter2");
  } finally {
    await server.stop();
  }
});
