/** Tokens: where they come from, and what happens when they end. */
import { expect, test } from "vitest";
import { connectedScene, Scene } from "./scripted.ts";

/** A `getToken` that counts, and says why it was asked. */
function counting() {
  const reasons: string[] = [];
  const getToken = ({ reason }: { reason: string }) => {
    reasons.push(reason);
    return `t${reasons.length}`;
  };
  return { reasons, getToken };
}

test("getToken is asked before the first connection, and not again within a minute", async () => {
  const { reasons, getToken } = counting();
  const scene = new Scene({ getToken });
  await scene.clock.advance(0);
  scene.transport.connect();
  expect(scene.transport.sent[0]?.connect?.token).toBe("t1");
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.token).toBe("t1");
  await scene.clock.advance(60_000);
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.token).toBe("t2");
  expect(reasons).toEqual(["connect", "connect"]);
});

test("a token that is given is used first", async () => {
  const { reasons, getToken } = counting();
  const scene = new Scene({ token: "given", getToken });
  scene.transport.connect();
  expect(scene.transport.sent[0]?.connect?.token).toBe("given");
  expect(reasons).toEqual([]);
});

test("3513 asks for another token whatever the age of the old one", async () => {
  const { reasons, getToken } = counting();
  const scene = new Scene({ getToken });
  await scene.clock.advance(0);
  scene.transport.connect();
  scene.transport.end(3513);
  await scene.clock.advance(500);
  scene.transport.opened();
  expect(scene.transport.last.connect?.token).toBe("t2");
  expect(reasons).toEqual(["connect", "expired"]);
});

test("a token that expires soon is replaced on the live connection", async () => {
  const { reasons, getToken } = counting();
  const scene = connectedScene({ token: "old", getToken });
  scene.transport.frame({ token_expiring: { expires_at: 1 } });
  await scene.clock.advance(0);
  expect(scene.transport.last).toMatchObject({ refresh: { token: "t1" } });
  scene.transport.answer({ refresh_ack: {} });
  expect(reasons).toEqual(["expiring"]);
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.token).toBe("t1");
});

test("without getToken the application gets an event, and brings one", async () => {
  const scene = connectedScene();
  const told: unknown[] = [];
  scene.client.addEventListener("tokenexpiring", ({ detail }) => told.push(detail));
  scene.transport.frame({ token_expiring: { expires_at: 7 } });
  expect(told).toEqual([{ channels: [], expiresAt: 7 }]);
  const refreshing = scene.client.refresh("new");
  scene.transport.answer({ error: { code: "AUTH_ERROR" } });
  await expect(refreshing).rejects.toMatchObject({ code: "AUTH_ERROR" });
});

test("a getToken that fails is asked again, and one without a token ends the client", async () => {
  let calls = 0;
  const scene = new Scene({
    getToken: () => {
      calls += 1;
      if (calls === 1) throw new Error("no network");
      return null;
    },
  });
  await scene.clock.advance(0);
  expect(scene.errors).toMatchObject([{ code: "UNAVAILABLE", cause: { message: "no network" } }]);
  await scene.clock.advance(500);
  await expect(scene.client.ready).rejects.toMatchObject({ code: "AUTH_ERROR" });
  expect(scene.transports).toEqual([]);
});

test("a getToken that never answers is given up, and its late token is not used", async () => {
  const answers: ((token: string) => void)[] = [];
  const scene = new Scene({
    connectTimeoutMs: 1_000,
    getToken: () => new Promise((resolve) => answers.push(resolve)),
  });
  await scene.clock.advance(2_000);
  expect(answers).toHaveLength(2);
  answers[0]?.("late");
  await scene.clock.advance(0);
  expect(scene.transports).toEqual([]);
  answers[1]?.("right");
  await scene.clock.advance(0);
  scene.transport.opened();
  expect(scene.transport.last.connect?.token).toBe("right");
});
