/**
 * One `messageloop serve` that outlives its processes, as a supervisor keeps it: it is killed, or told to
 * stop, and started again on the same ports. Whatever it does unasked is a problem.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { FREE_PORTS } from "../server/process.ts";
import { sleep } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { programPath } from "../support/programs.ts";

/** How long a process may take until it is ready, or has ended, in milliseconds: at least, and measured by others. */
const PATIENCE_MS = 30_000;
const PATIENCE = 5;
/** Processes that may have their patience one after the other until one is ready. */
const TRIES = 4;
const LOOK_MS = 20;

/** Those that must not outlive this process, whatever ends it. */
const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** How long the slowest process has taken until it was ready, in milliseconds: the machine may be busy. */
let slowestMs = 0;

export class ServeProcess {
  /** Address of its WebSocket endpoint. */
  readonly url: string;
  /** What it should not have done. */
  readonly problems: string[] = [];
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #health: string;
  #child: ChildProcess | undefined;
  /** What was printed since it was to start. */
  #printed = "";
  /** When the last process was begun, Unix milliseconds, and how many there were since it was to start. */
  #begun = 0;
  #launches = 0;
  /** What it last said about its health: a status, or why there was none. */
  #said = "";
  #over = false;

  private constructor(config: string, websocket: number, http: number) {
    this.url = `ws://127.0.0.1:${websocket}/ws`;
    this.#health = `http://127.0.0.1:${http}/health/ready`;
    this.#args = [programPath("cli"), "serve", "--config", config];
    this.#env = {
      ...withoutSettings(process.env),
      ...FREE_PORTS,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: `127.0.0.1:${websocket}`,
      MESSAGELOOP_SERVER_HTTP_ADDR: `127.0.0.1:${http}`,
    };
  }

  /** @param config path of its settings */
  static async of(config: string): Promise<ServeProcess> {
    return new ServeProcess(config, await settledPort("serve"), await settledPort("serve"));
  }

  /** The same settings again and again, until it is ready: Redis may be away at first. */
  async start(): Promise<void> {
    const began = Date.now();
    this.#printed = "";
    this.#launches = 0;
    while (!this.#over) {
      if (this.#child === undefined) this.#launch();
      const ready = await this.#ready();
      const now = Date.now();
      if (ready) {
        slowestMs = Math.max(slowestMs, now - this.#begun);
        return;
      }
      const patience = Math.max(PATIENCE_MS, PATIENCE * slowestMs);
      if (now - this.#begun > patience || now - began > TRIES * patience) {
        throw new Error(`${this.url} is not ready: ${this.#state(now)}:\n${this.#printed}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** Ends the process without a warning. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Tells it to stop, and waits until it has. */
  async stop(): Promise<void> {
    const code = await this.#end("SIGTERM");
    if (code !== 0) this.problems.push(`${this.url} stopped with ${code}:\n${this.#printed}`);
  }

  /** Ends the process for good. */
  async dispose(): Promise<void> {
    this.#over = true;
    await this.kill();
  }

  /** What has become of its processes, for a sentence about what is wrong. */
  #state(now: number): string {
    const { pid } = this.#child ?? {};
    const last = pid === undefined ? " has ended" : `, of id ${pid}, is alive`;
    const ages = `begun ${now - this.#begun} ms ago, while the slowest took ${slowestMs} ms`;
    return `process ${this.#launches}${last}, ${ages}, and its health is ${this.#said}`;
  }

  async #ready(): Promise<boolean> {
    try {
      const { status } = await fetch(this.#health, { signal: AbortSignal.timeout(1_000) });
      this.#said = `${status}`;
      return status === 200;
    } catch (error) {
      const { cause = error } = error as Error;
      this.#said = String(cause);
      return false;
    }
  }

  /** Returns the code or the signal that it ended with; undefined where there is no process. */
  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<number | string | undefined> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return undefined;
    const ended = once(child, "exit");
    const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    child.kill(signal);
    const [code, by] = await ended;
    clearTimeout(late);
    return code ?? by;
  }

  #launch(): void {
    this.#begun = Date.now();
    this.#launches += 1;
    const child = spawn(process.execPath, this.#args, { env: this.#env });
    living.add(child);
    this.#child = child;
    const print = (text: Buffer): void => {
      this.#printed += text;
    };
    child.stdout.on("data", print);
    child.stderr.on("data", print);
    child.on("exit", (code, signal) => {
      living.delete(child);
      if (this.#child !== child) return;
      this.#child = undefined;
      // That it cannot start without Redis is right.
      if (code === 2 && /^Redis .*cannot be used/m.test(this.#printed)) return;
      this.problems.push(`${this.url} ended with ${code ?? signal}:\n${this.#printed}`);
    });
  }
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith("MESSAGELOOP_")),
  );
}
