/** Health and metrics over HTTP, and the version that they tell. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { renderMetrics } from "../../src/http/metrics/metrics.ts";
import { createOperationsApp } from "../../src/http/operations.ts";
import { VERSION, versionOf } from "../../src/server/version.ts";
import { scene } from "../engine/scene.ts";
import { FACTS } from "./facts.ts";
import { parseMetrics } from "./prometheus.ts";

const PATHS = ["/health", "/health/live", "/health/ready", "/metrics"];

function operations() {
  const { engine } = scene();
  const state = { ready: true };
  const app = createOperationsApp({
    ready: () => state.ready,
    metrics: () => renderMetrics(engine.stats(), FACTS),
  });
  const ask = async (path: string, method = "GET") => await app.request(path, { method });
  return { engine, state, ask };
}

test.each(["/health", "/health/ready"])("%s follows readiness back and forth", async (path) => {
  const { state, ask } = operations();
  for (const ready of [true, false, true]) {
    state.ready = ready;
    const response = await ask(path);
    expect(response.status).toBe(ready ? 200 : 503);
    expect(response.headers.get("Content-Type")).toMatch(/^application\/json/);
    expect(await response.json()).toEqual({ status: ready ? "ready" : "not ready" });
  }
});

test("a process that is not ready lives all the same", async () => {
  const { state, ask } = operations();
  state.ready = false;
  const response = await ask("/health/live");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "live" });
});

test("metrics are those of this moment, in the text format with its version", async () => {
  const { engine, ask } = operations();
  const sessions = async (): Promise<number | undefined> => {
    const families = parseMetrics(await (await ask("/metrics")).text());
    return families.get("messageloop_sessions")?.samples[0]?.value;
  };
  expect((await ask("/metrics")).headers.get("Content-Type")).toBe(
    "text/plain; version=0.0.4; charset=utf-8",
  );
  expect(await sessions()).toBe(1);
  await engine.disconnect("s", 3503);
  expect(await sessions()).toBe(0);
});

test.each(PATHS)("%s may not be kept by a cache, and takes HEAD", async (path) => {
  const { ask } = operations();
  const [got, head] = [await ask(path), await ask(path, "HEAD")];
  expect(got.headers.get("Cache-Control")).toBe("no-store");
  expect(head.status).toBe(got.status);
  expect(head.headers.get("Content-Type")).toBe(got.headers.get("Content-Type"));
  expect(await head.text()).toBe("");
});

test.each(PATHS)("%s refuses other methods", async (path) => {
  const { ask } = operations();
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"]) {
    const response = await ask(path, method);
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe("GET, HEAD");
  }
});

test.each(["/", "/healthy", "/health/", "/health/other", "/metrics/x", "/ws"])(
  "%s is not here",
  async (path) => {
    const { ask } = operations();
    for (const method of ["GET", "POST"]) {
      const response = await ask(path, method);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Type")).toMatch(/^text\/plain/);
      expect(await response.text()).toBe("Not Found");
    }
  },
);

test("the version is the package's", () => {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  expect(VERSION).toBe((JSON.parse(manifest) as { version: string }).version);
});

test("the version is found from the built files as well, past a package.json without one", () => {
  const root = mkdtempSync(join(tmpdir(), "messageloop-version-"));
  const folder = join(root, "dist/lib/server");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(root, "package.json"), '{"name":"x","version":"7.8.9"}');
  writeFileSync(join(root, "dist/package.json"), '{"type":"module"}');
  expect(versionOf(pathToFileURL(join(folder, "version.js")).href)).toBe("7.8.9");
});
