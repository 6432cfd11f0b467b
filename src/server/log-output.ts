/**
 * Where the lines of the log leave the process. A log must not end the server that writes it, nor hold
 * it up: what the stream refuses, and what waits for a reader that has stalled, is dropped beyond a
 * bound and counted, and the log itself says so when it is read again.
 */

/** Bytes that may wait for the reader of the log. */
const MAX_UNWRITTEN_BYTES = 1024 * 1024;

/** The part of a writable stream that is used. */
export interface OutputStream {
  readonly writableLength: number;
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

export class LogOutput {
  readonly #stream: OutputStream;
  /** Hears once of each time in which lines are lost, with the reason. */
  readonly #trouble: (reason: string) => void;
  #lost = 0;
  /** Lost lines that the log does not mention yet. */
  #untold = 0;
  #pending = 0;
  #drained: (() => void)[] = [];

  constructor(stream: OutputStream, trouble: (reason: string) => void) {
    this.#stream = stream;
    this.#trouble = trouble;
    // Each line hears of its own failure. Without a listener the first one would end the process.
    stream.on("error", () => {});
  }

  /** Lines that were lost since the process started. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes one line with its newline. Never throws and never waits. */
  write(line: string): void {
    if (this.#stream.writableLength + line.length > MAX_UNWRITTEN_BYTES) {
      this.#lose(1, "nobody reads it");
      return;
    }
    this.#put(line, (error) =>
      this.#lose(1, (error as NodeJS.ErrnoException).code ?? error.message),
    );
  }

  /** Resolves when all lines have left or are lost, at the latest after so many milliseconds. */
  async drained(timeoutMs: number): Promise<void> {
    if (this.#pending === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#drained.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #put(text: string, failed: (error: Error) => void): void {
    this.#pending += 1;
    this.#stream.write(text, (error) => {
      this.#pending -= 1;
      if (error) failed(error);
      else if (this.#untold > 0 && this.#stream.writableLength < MAX_UNWRITTEN_BYTES / 2)
        this.#tell();
      if (this.#pending > 0) return;
      for (const resolve of this.#drained.splice(0)) resolve();
    });
  }

  #lose(lines: number, reason: string): void {
    if (this.#untold === 0) this.#trouble(reason);
    this.#lost += lines;
    this.#untold += lines;
  }

  #tell(): void {
    const lines = this.#untold;
    this.#untold = 0;
    const record = {
      level: "warn",
      time: new Date().toISOString(),
      message: "log lines were lost",
    };
    this.#put(`${JSON.stringify({ ...record, lines })}\n`, () => {
      this.#untold += lines;
    });
  }
}

/** Internals of Node that a terminal's stream has. */
interface Blocking {
  readonly _handle?: { setBlocking?(blocking: boolean): unknown };
}

let output: LogOutput | undefined;

/** Lines of the log on standard output that were lost; 0 where it is not in use. */
export function lostLines(): number {
  return output?.lost ?? 0;
}

/**
 * Standard output as the place of the log, one for the process. From the first call on neither of the
 * standard streams can end the process or, but for a file on a disk that hangs, hold it up.
 */
export function standardOutput(): LogOutput {
  if (output === undefined) {
    const { stdout, stderr } = process;
    for (const stream of [stdout, stderr]) {
      // Node lets a terminal block the process, which one that is stopped (Ctrl-S) does for ever.
      if (stream.isTTY) (stream as Blocking)._handle?.setBlocking?.(false);
    }
    stderr.on("error", () => {});
    output = new LogOutput(stdout, (reason) => {
      if (stderr.writableLength > 0) return;
      stderr.write(`the log cannot be written, lines are lost: ${reason}\n`);
    });
  }
  return output;
}
