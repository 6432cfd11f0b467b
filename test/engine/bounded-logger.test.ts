/** A log that no flood fills. */
import { expect, test } from "vitest";
import { boundedLogger, LINE_EVERY_MS, LINES_AT_ONCE } from "../../src/engine/bounded-logger.ts";
import type { LogFields, Logger } from "../../src/engine/ports/platform.ts";

type Level = "warn" | "info" | "debug";

function scene(levels: readonly Level[] = ["warn", "info", "debug"]) {
  const lines: [level: Level, message: string, fields: LogFields | undefined][] = [];
  const at = (level: Level) => (message: string, fields?: LogFields) => {
    lines.push([level, message, fields]);
  };
  const clock = { time: 1_000_000, now: () => 0, steady: () => clock.time };
  const target = Object.fromEntries(levels.map((level) => [level, at(level)])) as unknown as Logger;
  return { lines, clock, logger: boundedLogger(target, clock) };
}

test("of a flood the first lines are written, then one in a while with how many were left out", () => {
  const { clock, lines, logger } = scene();
  for (let i = 0; i < 1_000; i++) logger.info?.("client refused", { check: "form", session: i });
  expect(lines).toHaveLength(LINES_AT_ONCE);
  expect(lines.at(-1)).toEqual(["info", "client refused", { check: "form", session: 19 }]);
  clock.time += LINE_EVERY_MS - 1;
  logger.info?.("client refused", { check: "form", session: 1_000 });
  expect(lines).toHaveLength(LINES_AT_ONCE);
  clock.time += 1;
  for (let i = 0; i < 9; i++) logger.info?.("client refused", { check: "form", session: i });
  expect(lines.slice(LINES_AT_ONCE)).toEqual([
    ["info", "client refused", { check: "form", session: 0, left_out: 981 }],
  ]);
  clock.time += LINE_EVERY_MS * LINES_AT_ONCE;
  lines.length = 0;
  for (let i = 0; i < 90; i++) logger.info?.("client refused", { check: "form", session: i });
  expect(lines).toHaveLength(LINES_AT_ONCE);
  expect(lines.map(([, , fields]) => fields?.["left_out"])).toEqual([
    8,
    ...new Array<undefined>(LINES_AT_ONCE - 1).fill(undefined),
  ]);
});

test("kinds are bounded apart: by message, check, backend and reason, and by nothing that a client says", () => {
  const { lines, logger } = scene();
  for (let i = 0; i < 100; i++) {
    logger.info?.("client refused", { check: "form", session: `${i}` });
    logger.info?.("client refused", { check: "expiry", session: `${i}` });
    logger.warn("backend call failed", { backend: "rpc", reason: "busy", correlation_id: `${i}` });
    logger.warn("backend call failed", { backend: "rpc", reason: "timeout" });
    logger.warn("backend call failed");
  }
  expect(lines).toHaveLength(5 * LINES_AT_ONCE);
  const { lines: bounded, logger: other } = scene();
  for (let i = 0; i < 100_000; i++) other.warn("odd", { what: `${i}` });
  expect(bounded.length).toBeLessThanOrEqual(1_000 + LINES_AT_ONCE);
});

test("levels that are not written stay out, and debug is not bounded", () => {
  expect(Object.keys(scene(["warn"]).logger)).toEqual(["warn"]);
  const { lines, logger } = scene();
  for (let i = 0; i < 100; i++) logger.debug?.("request refused");
  expect(lines).toHaveLength(100);
});
