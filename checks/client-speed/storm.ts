/** Clients that are all cut at once: how long until each of them has what it has missed, beside centrifuge-js on Centrifugo. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { centrifugo } from "../../bench/peers/centrifugo.ts";
import { type Interval, median, medianInterval } from "../../bench/statistics.ts";
import { end, type Running } from "../../bench/target.ts";
import { startServer } from "../../bench/targets/messageloop.ts";
import { ROOT } from "../../bench/trees.ts";

export interface StormOptions {
  /** Where both clients are installed. */
  readonly folder: string;
  /** Path of Centrifugo's executable. */
  readonly executable: string;
  readonly rounds: number;
  /** Makes ours slower. */
  readonly plant: boolean;
  readonly say: (text: string) => void;
}

export interface Weathered {
  /** How much longer theirs takes. */
  readonly ratio: Interval;
  /** Seconds, the median. */
  readonly ours: number;
  readonly theirs: number;
}

/** What `storm.mjs` says of a round. */
interface Round {
  /** From the cut until all have everything. */
  readonly seconds: number;
  /** What that took of CPU time in the process of the clients, in seconds. */
  readonly cpu: number;
}

const NAMES = ["ours", "theirs"] as const;
/** What our server holds of a channel by default. */
const HISTORY = 256;

/** The clients of one side, in a process of their own. */
class Clients {
  readonly #child: ChildProcess;

  constructor(folder: string, ...args: string[]) {
    this.#child = fork(join(folder, "storm.mjs"), args, { cwd: folder });
  }

  /** Resolves with what they say next. @throws Error when they have ended */
  async told(): Promise<unknown> {
    const heard = new AbortController();
    const { signal } = heard;
    const ended = once(this.#child, "exit", { signal }).then(([code]) => {
      throw new Error(`the clients have ended with ${code}`);
    });
    try {
      const [message] = await Promise.race([once(this.#child, "message", { signal }), ended]);
      return message;
    } finally {
      ended.catch(() => {});
      heard.abort();
    }
  }

  /** Has them miss messages and cuts them. */
  async round(): Promise<Round> {
    this.#child.send("round");
    return (await this.told()) as Round;
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

export async function storm(options: StormOptions): Promise<Weathered> {
  const { folder, executable, rounds, plant, say } = options;
  const started: { stop(): Promise<void> }[] = [];
  const start = async (side: string, { port, stop }: Running, path: string): Promise<Clients> => {
    started.push({ stop });
    const clients = new Clients(
      folder,
      side,
      `ws://127.0.0.1:${port}${path}`,
      plant ? "plant" : "",
    );
    started.push(clients);
    await clients.told();
    return clients;
  };
  try {
    const terms = { executable, encoding: "json", history: HISTORY } as const;
    const sides = {
      ours: await start("ours", await startServer(ROOT), "/ws"),
      theirs: await start(
        "theirs",
        await centrifugo("centrifugo", terms).start(),
        "/connection/websocket",
      ),
    };
    const taken: { readonly ours: number; readonly theirs: number }[] = [];
    for (let i = 0; i < rounds; i++) {
      const seconds = { ours: Number.NaN, theirs: Number.NaN };
      for (const side of i % 2 === 0 ? NAMES : NAMES.toReversed()) {
        const told = await sides[side].round();
        seconds[side] = told.seconds;
        const cpu = `${told.cpu.toFixed(2)} s of CPU in the clients`;
        say(`round ${i + 1}, ${side}: ${told.seconds.toFixed(2)} s, ${cpu}`);
      }
      taken.push(seconds);
    }
    return {
      ratio: medianInterval(taken.map(({ ours, theirs }) => theirs / ours)),
      ours: median(taken.map(({ ours }) => ours)),
      theirs: median(taken.map(({ theirs }) => theirs)),
    };
  } finally {
    for (const one of started.reverse()) await one.stop();
  }
}
