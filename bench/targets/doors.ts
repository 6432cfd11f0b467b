/** Ways to publish from a backend, into a server of a tree that has a key for its API. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { messageLoop, messageLoopDialect } from "../dialects/messageloop.ts";
import { end, type Running, type Target, told } from "../target.ts";
import { startServer } from "./messageloop.ts";

const HONO = fileURLToPath(new URL("bare-hono-server.ts", import.meta.url));
const PUBLISH = "/messageloop.server.v1.APIService/Publish";
/** For servers that live as long as a run of the bench, on loopback. */
const KEY = `ml_bench_${"k".repeat(43)}`;
const PADDING = "x".repeat(146);

export interface Door extends Running {
  /** Publishes so many events at once, and resolves when all are acknowledged. */
  publish(events: number): Promise<void>;
}

/** Names of what the API is measured beside. */
export const WEBSOCKET = "websocket";
export const HONO_AND_WEBSOCKET = "hono-and-websocket";

/** One call of the server API, as JSON over a connection that stays. */
export function byApi(tree: string): Target {
  return door("messageloop", tree, async (running) => {
    const client = new HttpClient(running.port, PUBLISH);
    let sequence = 0;
    return {
      ...running,
      publish: async (events) => {
        const publications = Array.from({ length: events }, () => publication(sequence++));
        const answer = await client.post(JSON.stringify({ publications }));
        const acknowledged = answer.split('"offset"').length - 1;
        if (acknowledged !== events) throw new Error(`${acknowledged} of ${events}: ${answer}`);
      },
      stop: async () => {
        client.close();
        await running.stop();
      },
    };
  });
}

/** As many messages of one WebSocket, which leave in one turn. */
export function byWebSocket(tree: string): Target {
  return door(WEBSOCKET, tree, async (running) => {
    const publisher = await Publisher.connect(running.port);
    return {
      ...running,
      publish: (events) => publisher.publish(events),
      stop: async () => {
        publisher.close();
        await running.stop();
      },
    };
  });
}

/** A request to a bare program for each event, and the event by WebSocket: what a door over HTTP has to do at least. */
export function byHonoAndWebSocket(tree: string): Target {
  return door(HONO_AND_WEBSOCKET, tree, async (running) => {
    const child = spawn(process.execPath, [HONO], { stdio: ["ignore", "pipe", "inherit"] });
    const client = new HttpClient(await told(child, Number), "/");
    const publisher = await Publisher.connect(running.port);
    let sequence = 0;
    return {
      ...running,
      pids: [...running.pids, child.pid as number],
      publish: async (events) => {
        const publications = Array.from({ length: events }, () => publication(sequence++));
        await client.post(JSON.stringify({ publications }));
        await publisher.publish(events);
      },
      stop: async () => {
        client.close();
        publisher.close();
        await Promise.all([end(child), running.stop()]);
      },
    };
  });
}

function door(name: string, tree: string, open: (running: Running) => Promise<Door>): Target {
  const entry = {
    id: "bench",
    digest: createHash("sha256").update(KEY).digest("hex"),
    rights: ["publish"],
    patterns: ["**"],
  };
  const start = async (): Promise<Door> => {
    const folder = mkdtempSync(join(tmpdir(), "messageloop-bench-doors-"));
    const config = join(folder, "config.yaml");
    writeFileSync(config, JSON.stringify({ api: { keys: [entry], public: true } }));
    try {
      return await open(await startServer(tree, { config }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  return { name, dialect: messageLoop(), start };
}

/** A channel's event in JSON, the same text as by WebSocket. */
function publication(sequence: number): object {
  const payload = {
    id: `api-${sequence}`,
    source: "/bench",
    spec_version: "1.0",
    type: "bench",
    text_data: PADDING,
  };
  return { destination: { channels: ["bench.doors"] }, payload };
}

/** Posts over one connection that stays open. */
class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  readonly #path: string;

  constructor(port: number, path: string) {
    this.#port = port;
    this.#path = path;
  }

  /** @throws Error for any answer but 200 */
  async post(body: string): Promise<string> {
    const sent = request({
      agent: this.#agent,
      host: "127.0.0.1",
      port: this.#port,
      path: this.#path,
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
        Authorization: `Bearer ${KEY}`,
      },
    });
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [
      NodeJS.ReadableStream & { statusCode: number },
    ];
    let text = "";
    for await (const chunk of answer) text += chunk;
    if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}: ${text}`);
    return text;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Publishes over one WebSocket as the generator's clients do. */
class Publisher {
  readonly #socket: WebSocket;
  readonly #dialect = messageLoopDialect({ encoding: "json", extended: true });
  #sequence = 0;
  #missing = 0;
  #acknowledged: () => void = () => {};

  static async connect(port: number): Promise<Publisher> {
    const publisher = new Publisher(port);
    await once(publisher.#socket, "open");
    for (const frame of publisher.#dialect.setup(0, undefined)) {
      publisher.#socket.send(frame);
      await once(publisher.#socket, "message");
    }
    publisher.#socket.on("message", () => {
      publisher.#missing -= 1;
      if (publisher.#missing === 0) publisher.#acknowledged();
    });
    return publisher;
  }

  private constructor(port: number) {
    const { path, subprotocol } = this.#dialect;
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, subprotocol);
  }

  async publish(events: number): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#acknowledged = resolve;
    });
    this.#missing = events;
    for (let i = 0; i < events; i++) {
      this.#socket.send(this.#dialect.publish("bench.doors", this.#sequence, "", PADDING));
      this.#sequence += 1;
    }
    await done;
  }

  close(): void {
    this.#socket.terminate();
  }
}
