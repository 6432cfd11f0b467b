/**
 * Programs that read events as docs/sse.md tells pages to: the program of that document itself, in browsers and in Node.
 * Nobody waits for longer than it must, and everything that an EventSource does is noted.
 */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser } from "./browsers.ts";

/** How long tickets are good, by the kind of stream that asks for them. */
export const TICKET_MS = { lasting: 600_000, brief: 1_000 } as const;
export type Kind = keyof typeof TICKET_MS;

export interface SourceState {
  readonly url: string;
  /** 2 where it has given up. */
  readonly readyState: number;
  /** How often a stream of it has begun, and how often one was lost or refused. */
  readonly begun: number;
  readonly errors: number;
}

export interface StreamState {
  /** What the document's program has printed, line by line. */
  readonly printed: readonly string[];
  /** Each EventSource that it has made. */
  readonly sources: readonly SourceState[];
}

export type ReaderState = Readonly<Record<Kind, StreamState>>;

/** A program with a stream of each kind. */
export interface Reader {
  readonly name: string;
  state(): Promise<ReaderState>;
  /** Its page is left, and kept. */
  leave(): Promise<void>;
  /** It is gone back to. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

export interface Place {
  /** Origin of the server. */
  readonly server: string;
  /** Origin of the application, which has tickets at `/ticket`. */
  readonly app: string;
  /** What is read: a channel or a pattern. */
  readonly name: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The document's program, apart from the address and the channel. */
async function documented({ server, name }: Place): Promise<string> {
  const document = await readFile(`${root}docs/sse.md`, "utf8");
  const program = /```js\n(function readEvents.*?)\n```/s.exec(document)?.[1];
  if (program === undefined) throw new Error("the document has no such program");
  const own = { "https://loop.example": server, "chat.lobby": name };
  return Object.entries(own).reduce((text, [theirs, ours]) => {
    if (!text.includes(`"${theirs}"`)) throw new Error(`the program does not say ${theirs}`);
    return text.replace(`"${theirs}"`, JSON.stringify(ours));
  }, program);
}

/** Leaves `read(Native, target)`: Native is an EventSource, and target hears when the page is left. */
async function programOf(place: Place): Promise<string> {
  return `
    const streamOf = (kind, Native, target) => {
      const printed = [];
      const sources = [];
      class EventSource extends Native {
        constructor(url) {
          super(url);
          const noted = { source: this, begun: 0, errors: 0 };
          sources.push(noted);
          this.addEventListener("subscribed", () => { noted.begun += 1; });
          this.addEventListener("error", () => { noted.errors += 1; });
        }
      }
      const Math = { random: () => 0 };
      const console = { log: (line) => printed.push(line) };
      const fetch = (path, options) => globalThis.fetch("${place.app}" + path + "?" + kind, options);
      const addEventListener = target.addEventListener.bind(target);
      ${await documented(place)}
      return () => ({
        printed,
        sources: sources.map(({ source: { url, readyState }, begun, errors }) =>
          ({ url, readyState, begun, errors })),
      });
    };
    const read = (Native, target) => {
      const [lasting, brief] = ["lasting", "brief"].map((kind) => streamOf(kind, Native, target));
      const tell = (name) => {
        target.dispatchEvent(Object.assign(new Event(name), { persisted: true }));
      };
      return {
        state: () => ({ lasting: lasting(), brief: brief() }),
        leave: () => tell("pagehide"),
        comeBack: () => tell("pageshow"),
      };
    };`;
}

/** @param origin of the page; it need not exist */
export async function pageReader(
  name: string,
  browser: Browser,
  origin: string,
  place: Place,
): Promise<Reader> {
  const page = await browser.open(`${origin}/a/page`);
  await page.evaluate(`(() => {
    ${await programOf(place)}
    globalThis.reader = read(EventSource, globalThis);
  })()`);
  return {
    name,
    state: async () => JSON.parse(String(await page.evaluate("JSON.stringify(reader.state())"))),
    leave: async () => {
      await page.evaluate("reader.leave()");
    },
    comeBack: async () => {
      await page.evaluate("reader.comeBack()");
    },
    close: () => page.close(),
  };
}

/** Where the EventSource of Node, which is behind a flag, and that of npm are. */
const IN_NODE = {
  "Node's EventSource": "globalThis.EventSource",
  "npm's EventSource": '(await import("eventsource")).EventSource',
} as const;

/** In a process of its own. */
export async function nodeReader(name: keyof typeof IN_NODE, place: Place): Promise<Reader> {
  const text = `${await programOf(place)}
    const reader = read(${IN_NODE[name]}, new EventTarget());
    process.on("message", (word) => reader[word]());
    // While it waits to come back it does not keep its process alive.
    setInterval(() => process.send(reader.state()), 20);`;
  const flags = ["--no-warnings", "--experimental-eventsource", "--input-type=module"];
  const child = spawn(process.execPath, [...flags, "-e", text], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const none = { printed: [], sources: [] };
  let last: ReaderState = { lasting: none, brief: none };
  child.on("message", (state: ReaderState) => {
    last = state;
  });
  return {
    name,
    state: async () => last,
    leave: async () => {
      child.send("leave");
    },
    comeBack: async () => {
      child.send("comeBack");
    },
    close: async () => {
      child.kill("SIGKILL");
    },
  };
}
