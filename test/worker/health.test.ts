/** What whoever watches the Worker asks it. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";

async function asked(path: string, method = "GET"): Promise<Response> {
  return await exports.default.fetch(new Request(`http://localhost${path}`, { method }));
}

test("the Worker says that it lives and that it is ready, to who reads", async () => {
  for (const [path, status] of Object.entries({
    "/health/live": "live",
    "/health/ready": "ready",
    "/health": "ready",
  })) {
    const answer = await asked(path);
    expect([answer.status, await answer.json()]).toEqual([200, { status }]);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    expect((await asked(path, "HEAD")).status).toBe(200);
    const refused = await asked(path, "POST");
    expect([refused.status, refused.headers.get("Allow")]).toEqual([405, "GET, HEAD"]);
  }
  // Nobody has asked for them, so that no gateway reports.
  expect((await asked("/metrics")).status).toBe(404);
});

test("without a configured key the server API is closed, and nothing can be found out by one", async () => {
  const answer = await exports.default.fetch(
    new Request("http://localhost/messageloop.server.v1.APIService/Publish", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Authorization: `Bearer ml_backend_${"p".repeat(43)}`,
      },
      body: JSON.stringify({ publications: [] }),
    }),
  );
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ message: expect.stringContaining("no API keys") });
});
