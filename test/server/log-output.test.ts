/** A log that cannot be written loses lines: bounded, counted and told, and nothing else happens. */
import { expect, test } from "vitest";
import { LogOutput } from "../../src/server/log-output.ts";

/** A stream whose reader does what the test says. */
class Pipe {
  writableLength = 0;
  readonly read: string[] = [];
  readonly listeners: string[] = [];
  #waiting: { text: string; done: (error?: Error | null) => void }[] = [];
  #fails: string | undefined;

  write(text: string, done: (error?: Error | null) => void): void {
    this.writableLength += text.length;
    this.#waiting.push({ text, done });
  }
  on(event: string): void {
    this.listeners.push(event);
  }
  /** Every write fails from now on, or none. */
  fail(code: string | undefined): void {
    this.#fails = code;
  }
  /** Settles what was written. */
  settle(): void {
    for (const { text, done } of this.#waiting.splice(0)) {
      this.writableLength -= text.length;
      if (this.#fails === undefined) this.read.push(text);
      done(
        this.#fails === undefined ? null : Object.assign(new Error("no"), { code: this.#fails }),
      );
    }
  }
}

function output() {
  const pipe = new Pipe();
  const troubles: string[] = [];
  return { pipe, troubles, log: new LogOutput(pipe, (reason) => troubles.push(reason)) };
}

function notice(lines: number) {
  return expect.objectContaining({ level: "warn", message: "log lines were lost", lines });
}

test("lines leave as they are", () => {
  const { pipe, troubles, log } = output();
  log.write("a\n");
  log.write("b\n");
  pipe.settle();
  expect(pipe.read).toEqual(["a\n", "b\n"]);
  expect([troubles, log.lost]).toEqual([[], 0]);
  // Without a listener an error of the stream ends the process.
  expect(pipe.listeners).toEqual(["error"]);
});

test.each(["EPIPE", "ENOSPC", "EIO", "EAGAIN"])(
  "a stream that fails with %s loses lines until it takes them again",
  (code) => {
    const { pipe, troubles, log } = output();
    pipe.fail(code);
    for (let i = 0; i < 3; i++) {
      log.write(`${i}\n`);
      pipe.settle();
    }
    expect([troubles, log.lost]).toEqual([[code], 3]);
    pipe.fail(undefined);
    log.write("back\n");
    pipe.settle();
    pipe.settle();
    expect(pipe.read[0]).toBe("back\n");
    expect(JSON.parse(pipe.read[1] ?? "")).toEqual(notice(3));
    log.write("on\n");
    pipe.settle();
    expect(pipe.read.slice(2)).toEqual(["on\n"]);
    pipe.fail(code);
    log.write("again\n");
    pipe.settle();
    expect([troubles, log.lost]).toEqual([[code, code], 4]);
  },
);

test("a notice that is lost itself is told later", () => {
  const { pipe, log } = output();
  pipe.fail("ENOSPC");
  log.write("0\n");
  pipe.settle();
  pipe.fail(undefined);
  log.write("1\n");
  pipe.settle();
  pipe.fail("ENOSPC");
  pipe.settle();
  pipe.fail(undefined);
  log.write("2\n");
  pipe.settle();
  pipe.settle();
  expect(pipe.read.slice(0, 2)).toEqual(["1\n", "2\n"]);
  expect(JSON.parse(pipe.read[2] ?? "")).toEqual(notice(1));
  expect(log.lost).toBe(1);
});

test("a reader that stalls is waited for with a bound", () => {
  const { pipe, troubles, log } = output();
  const line = `${"x".repeat(1_023)}\n`;
  for (let i = 0; i < 2_000; i++) log.write(line);
  expect(pipe.writableLength).toBe(1024 * 1024);
  expect([troubles, log.lost]).toEqual([["nobody reads it"], 976]);
  pipe.settle();
  pipe.settle();
  expect(pipe.read).toHaveLength(1_025);
  expect(JSON.parse(pipe.read.at(-1) ?? "")).toEqual(notice(976));
});

test("the last lines are waited for, and not for ever", async () => {
  const { pipe, log } = output();
  await log.drained(0);
  log.write("last\n");
  const drained = log.drained(60_000);
  pipe.settle();
  await drained;
  log.write("nobody takes it\n");
  await log.drained(1);
  expect(pipe.read).toEqual(["last\n"]);
});
