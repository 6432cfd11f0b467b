/** A gateway that could authenticate nobody although it must takes no connection. */
import { env, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { Client } from "./socket.ts";

const JWT = { hmac_secret: { secret: "TOKEN_SECRET" }, algorithms: ["HS256"] };

// Before any object is made.
Object.assign(env, { messageloop: { auth: { jwt: JWT } }, TOKEN_SECRET: "s".repeat(32) });

const upgrade = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

afterEach(() => {
  vi.restoreAllMocks();
});

/** What a gateway with `auth.required` answers to an upgrade, and what it logs. */
async function answered(name: string): Promise<[status: number, text: string, log: string]> {
  const lines = vi.spyOn(console, "warn").mockImplementation(() => {});
  const stub = exports.GatewayDurableObject.getByName(name);
  return await runInDurableObject(stub, async (_, state) => {
    const settings = { messageloop: { auth: { required: true } } };
    const gateway = new GatewayDurableObject(state, { ...env, ...settings } as unknown as Env);
    const response = gateway.fetch(new Request("https://app.example/ws", { headers: upgrade }));
    const text = response.status === 101 ? "" : await response.text();
    return [response.status, text, lines.mock.calls.join("\n")];
  });
}

test("without anybody who reads tokens it answers 500, and the log names the setting", async () => {
  const [status, text, log] = await answered("auth-nobody");
  expect([status, text]).toEqual([500, "wrong settings, see the log"]);
  expect(log).toContain('"path":"auth.required"');
});

test("with an authenticator of the application's own it takes connections", async () => {
  const prototype = GatewayDurableObject.prototype as unknown as { backends(): Backends };
  vi.spyOn(prototype, "backends").mockReturnValue({
    authenticate: async () => ({ userId: "ali" }),
  });
  expect((await answered("auth-own"))[0]).toBe(101);
});

test("a flood of refused clients does not flood the log", async () => {
  const lines = vi.spyOn(console, "info").mockImplementation(() => {});
  for (let i = 0; i < 60; i++) {
    const client = await Client.open({ gateway: "auth-flood" });
    client.send({ id: "c", envelope: { case: "connect", value: { token: "hunter2" } } });
    expect((await client.closed()).code).toBe(3500);
  }
  const refused = lines.mock.calls.filter(([line]) => `${line}`.includes("client refused"));
  expect(refused.length).toBeGreaterThanOrEqual(20);
  // One more in three seconds, however slow the machine is.
  expect(refused.length).toBeLessThan(40);
});
