/** A deployment whose settings are wrong says so at once, to its operator with the path. */
import { expect, test } from "vitest";
import { startWrangler } from "../wrangler.ts";

test("a wrong setting makes every request answer 500 and stands in the log with its path", async () => {
  const limits = { rpc_in_flight: 1, message_bytes: "64k" };
  const server = await startWrangler({ vars: { messageloop: { limits } } });
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
  } finally {
    await server.stop();
  }
});
