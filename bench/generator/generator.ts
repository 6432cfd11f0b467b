/**
 * The load generator as rows see it. It is a process of its own, so that its CPU time is not that of the one that
 * measures; what each call does is said in `Load`.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { DialectSpec } from "../dialect.ts";
import { end } from "../target.ts";
import type { ClosedOptions, LoadOptions, LoadSample, PacedOptions } from "./load.ts";
import type { Answer, Request } from "./process.ts";

const PROGRAM = fileURLToPath(new URL("process.ts", import.meta.url));

export class Generator {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #requests = 0;
  #loads = 0;

  static start(): Generator {
    return new Generator(fork(PROGRAM, { serialization: "advanced" }));
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    child.once("exit", () => {
      for (const [id, tell] of this.#waiting) tell({ id, error: "the generator has ended" });
      this.#waiting.clear();
    });
  }

  async open(options: LoadOptions): Promise<RemoteLoad> {
    const load = this.#loads;
    this.#loads += 1;
    const call = (method: Request["method"], argument?: unknown): Promise<unknown> =>
      this.#ask({ load, method, argument });
    const opened = (await call("open", options)) as LoadSample;
    return {
      opened,
      closed: async (argument) => (await call("closed", argument)) as LoadSample,
      paced: async (argument) => (await call("paced", argument)) as LoadSample,
      miss: async (times) => {
        await call("miss", times);
      },
      drop: async () => {
        await call("drop");
      },
      resume: async (dialects) => (await call("resume", dialects)) as LoadSample,
      close: async () => {
        await call("close");
      },
    };
  }

  async stop(): Promise<void> {
    await end(this.#child);
  }

  async #ask(request: Omit<Request, "id">): Promise<unknown> {
    const id = this.#requests;
    this.#requests += 1;
    const { result, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, ...request });
    });
    if (error !== undefined) throw new Error(error);
    return result;
  }
}

export interface RemoteLoad {
  /** How it went when everybody connected: operations are clients. */
  readonly opened: LoadSample;
  closed(options: ClosedOptions): Promise<LoadSample>;
  paced(options: PacedOptions): Promise<LoadSample>;
  miss(times: number): Promise<void>;
  drop(): Promise<void>;
  resume(dialects: readonly DialectSpec[]): Promise<LoadSample>;
  close(): Promise<void>;
}
