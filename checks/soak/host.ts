/** Starts the server of the soak as a process, asks it, and ends it. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TurnTimes } from "./turns.ts";

/** `collect` is `memory` after a forced collection; `measured` ends what `measure` began. */
export type Question = "memory" | "collect" | "measure" | "measured" | "stop";

/** A fault that is built in, to show that the check finds it. */
export type Plant = "leak" | "stall";

export interface Memory {
  /** Bytes, as the next. */
  readonly rss: number;
  /** Of the heap, and of what it holds outside. */
  readonly used: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly channels: number;
  readonly patterns: number;
}

export interface Answer {
  /** That of the question; 0 is for the port that the server listens on. */
  readonly id: number;
  readonly value: Memory | TurnTimes | number | undefined;
}

const SERVER = fileURLToPath(new URL("server.ts", import.meta.url));
/** A server that is started or asked answers within this time, in milliseconds. */
const PATIENCE_MS = 60_000;
/** Sweeps come at least as often as a connection may be silent at first: soon. */
const LISTENERS = {
  server: { http: { addr: "127.0.0.1:0" }, drain_timeout: "1s", connect_deadline: "2s" },
  transport: { websocket: { addr: "127.0.0.1:0" }, grpc: { addr: "127.0.0.1:0" } },
};

export class SoakServer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (value: Answer["value"]) => void>();
  readonly #ended: Promise<void>;
  #port = 0;
  #asked = 0;

  /** @param settings tables beside those of the listeners, such as `channels` */
  static async start(settings: object, plant?: Plant): Promise<SoakServer> {
    const server = new SoakServer({ config: { ...LISTENERS, ...settings }, plant });
    server.#port = (await server.#answer(0)) as number;
    return server;
  }

  private constructor(options: object) {
    this.#child = fork(SERVER, [JSON.stringify(options)], {
      // A million names are 2 GB before anything is collected, whatever this machine gives by default.
      execArgv: ["--expose-gc", "--max-old-space-size=4096"],
    });
    this.#child.on("message", ({ id, value }: Answer) => {
      this.#waiting.get(id)?.(value);
      this.#waiting.delete(id);
    });
    this.#ended = new Promise((resolve) => this.#child.once("exit", () => resolve()));
  }

  get port(): number {
    return this.#port;
  }

  /** What the process holds. */
  async memory(): Promise<Memory> {
    return (await this.#ask("memory")) as Memory;
  }

  /** The same after a forced collection. */
  async collect(): Promise<Memory> {
    return (await this.#ask("collect")) as Memory;
  }

  /** How long turns of the event loop take while something runs. */
  async turnsOf(run: () => Promise<void>): Promise<TurnTimes> {
    await this.#ask("measure");
    await run();
    return (await this.#ask("measured")) as TurnTimes;
  }

  /** Ends the process, whatever it is doing. */
  async stop(): Promise<void> {
    await this.#ask("stop").catch(() => this.#child.kill("SIGKILL"));
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
  }

  async #ask(question: Question): Promise<Answer["value"]> {
    this.#asked += 1;
    const id = this.#asked;
    const answer = this.#answer(id);
    if (this.#child.connected) this.#child.send({ id, question });
    return await answer;
  }

  async #answer(id: number): Promise<Answer["value"]> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await Promise.race([
        new Promise<Answer["value"]>((resolve) => this.#waiting.set(id, resolve)),
        this.#ended.then(() => {
          throw new Error("the server has ended");
        }),
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error("the server does not answer")), PATIENCE_MS);
        }),
      ]);
    } finally {
      clearTimeout(timer);
    }
  }
}
