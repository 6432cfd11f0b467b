/** A gateway that could authenticate nobody although it must takes no connection. */
import { env, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";

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
