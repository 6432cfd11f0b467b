/** A deployment whose settings are wrong says so at once, to its operator with the path. */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf } from "../support/client.ts";
import { startWrangler } from "../support/wrangler.ts";

test("a wrong setting makes every request answer 500 and stands in the log with its path", async () => {
  const limits = { rpc_in_flight: 1, message_bytes: "64k" };
  const channels = [
    { pattern: "chat.*", history_size: 1 },
    { pattern: "**", history_size: 0 },
  ];
  const server = await startWrangler({ vars: { messageloop: { limits, channels } } });
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

test("a deployment with channel rules serves the channels that have some", async () => {
  const channels = [
    { pattern: "chat.**", history_size: 1_000, history_ttl: "72h" },
    { pattern: "cursors.*", transient: true, exactly_once: false },
  ];
  const server = await startWrangler({ vars: { messageloop: { channels } } });
  try {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, ["messageloop+json"]);
    const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
    await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
    expect(kindOf(await client.connect())).toBe("connected");
    for (const channel of ["chat.a.b", "cursors.a", "other"]) {
      expect(await client.publish(channel, "hello")).toBe(1);
    }
    socket.close();
  } finally {
    await server.stop();
  }
});
