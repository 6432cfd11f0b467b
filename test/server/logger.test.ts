/** The log: one JSON line per record, levels, and nothing that must stay secret. */
import { expect, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createLogger } from "../../src/server/logger.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

function log(level: (typeof LEVELS)[number] = "debug") {
  const lines: string[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(line) });
  const records = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, lines, records };
}

test("a record is one line with level, time, message and its fields", () => {
  const { logger, lines, records } = log();
  logger.warn("backend call failed\nreally", { attempt: 2, backend: "users" });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1);
  const [{ time, ...record } = {}] = records();
  expect(record).toEqual({
    level: "warn",
    message: "backend call failed\nreally",
    attempt: 2,
    backend: "users",
  });
  expect(new Date(`${time}`).toISOString()).toBe(time);
  // A person reads what happened before the rest.
  expect(Object.keys(records()[0] ?? {})).toEqual([
    "level",
    "time",
    "message",
    "attempt",
    "backend",
  ]);
});

test.each(LEVELS)("level %s writes itself and what is graver", (level) => {
  const { logger, records } = log(level);
  for (const name of LEVELS) logger[name]?.(name);
  expect(records().map((record) => record["level"])).toEqual(LEVELS.slice(LEVELS.indexOf(level)));
});

test("what is not written is not even asked for", () => {
  expect(Object.keys(log("debug").logger).toSorted()).toEqual([
    "audit",
    "debug",
    "error",
    "info",
    "warn",
  ]);
  expect(Object.keys(log("info").logger).toSorted()).toEqual(["audit", "error", "info", "warn"]);
  expect(Object.keys(log("error").logger).toSorted()).toEqual(["error", "warn"]);
});

test("the level comes from the configuration", () => {
  const { logger, records } = log(parseConfig({ server: { log_level: "error" } }).logLevel);
  logger.warn("quiet");
  logger.error("loud");
  expect(records().map((record) => record["message"])).toEqual(["loud"]);
});

test.each([
  "token",
  "Token",
  "access_token",
  "refreshToken",
  "tokens",
  "password",
  "redisPassword",
  "Authorization",
  "payload",
  "data",
  "binary_data",
  "textData",
  "secret",
  "Cookie",
])("a field named %s is never written, at any depth", (key) => {
  const { logger, lines, records } = log();
  const secret = "hunter2";
  logger.info?.("a", { [key]: secret });
  logger.info?.("b", { [key]: { inner: [secret] } });
  logger.info?.("c", { request: { headers: { [key]: secret } } });
  logger.info?.("d", { list: [{ [key]: secret }] });
  logger.info?.("e", { one: { two: { three: { four: { five: { [key]: secret } } } } } });
  expect(lines.join("")).not.toContain(secret);
  expect(records()[0]).toMatchObject({ [key]: "[redacted]" });
});

test("fields whose names only resemble a secret's are written", () => {
  const { logger, records } = log();
  const fields = { metadata: "m", database: "d", dataset: "s", passed: true };
  logger.info?.("x", fields);
  expect(records()[0]).toMatchObject(fields);
});

test("bytes are never written, and an error only as its text", () => {
  const { logger, lines, records } = log();
  const error = Object.assign(new Error("boom"), { payload: "hunter2", request: "hunter2" });
  logger.error("x", { bytes: new TextEncoder().encode("AAAA"), error, cause: { error } });
  expect(lines.join("")).not.toMatch(/hunter2|65,65|"0":65/);
  expect(records()[0]).toMatchObject({ bytes: "[redacted]" });
  expect(records()[0]?.["error"]).toMatch(/^Error: boom\n/);
});

test("no value makes the log throw or break its line", () => {
  const { logger, records } = log();
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const odd = { big: 2n, none: undefined, nil: null, nan: Number.NaN, day: new Date(Number.NaN) };
  logger.info?.("x", { cycle, ...odd, text: 'a"b\u2028\n', call: () => 1, symbol: Symbol("s") });
  expect(records()[0]).toMatchObject({ big: "2", nil: null, day: null, text: 'a"b\u2028\n' });
});

test("a value that throws when it is looked at does not throw out of the log", () => {
  const { logger, records } = log();
  const fail = (): never => {
    throw new Error("do not touch");
  };
  const error = Object.defineProperty(new Error("x"), "stack", { get: fail });
  const untouchable = new Proxy({}, { ownKeys: fail, get: fail, getPrototypeOf: fail });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const value of [error, { error }, { toJSON: fail }, untouchable, proxy]) {
    logger.error("still told", { value });
  }
  expect(records().map(({ message }) => message)).toEqual(new Array(5).fill("still told"));
});

test("a field cannot replace what the record says of itself", () => {
  const { logger, records } = log();
  logger.warn("true", { level: "info", time: 0, message: "false" });
  expect(records()[0]).toMatchObject({ level: "warn", message: "true", level_: "info", time_: 0 });
});

test("the caller's fields are left as they were", () => {
  const { logger } = log();
  const fields = { token: "t", nested: { password: "p" } };
  logger.info?.("x", fields);
  expect(fields).toEqual({ token: "t", nested: { password: "p" } });
});
