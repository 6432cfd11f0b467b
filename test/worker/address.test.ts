/** Where a client comes from, as the authenticator is told. */
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { Client } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("the address is what the platform says, and no other header is believed (A6)", async () => {
  const addresses: string[] = [];
  vi.spyOn(
    GatewayDurableObject.prototype as unknown as { backends(): Backends },
    "backends",
  ).mockReturnValue({
    authenticate: async ({ address }) => {
      addresses.push(address);
      return { userId: "ali" };
    },
  });
  const forged = { "X-Forwarded-For": "6.6.6.6", Forwarded: "for=6.6.6.6", "X-Real-IP": "6.6.6.6" };
  const from = (headers: Readonly<Record<string, string>>) => (request: Request) => {
    const upgrade = new Request(request);
    for (const [name, value] of Object.entries({ ...forged, ...headers })) {
      upgrade.headers.set(name, value);
    }
    return exports.default.fetch(upgrade);
  };
  await Client.connect({ open: from({ "CF-Connecting-IP": "192.0.2.7" }) });
  await Client.connect({ open: from({}) });
  expect(addresses).toEqual(["192.0.2.7", ""]);
});
