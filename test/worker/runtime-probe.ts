/**
 * A Worker and an object of its own that show what the runtime does. Nothing of MessageLoop is in it: docs/cloudflare.md
 * says what it shows, and test/e2e/runtime.test.ts looks.
 */
import { DurableObject } from "cloudflare:workers";

export {
  ChannelDurableObject,
  GatewayDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "../../src/worker/library.ts";

/** What has happened, by the name that a test gives it. All of a process share them. */
const notes = new Map<string, string[]>();

function note(name: string, what: string): void {
  notes.set(name, [...(notes.get(name) ?? []), what]);
}

const TICK_MS = 30;

/** How an object's close handler behaves: it answers, it does not, or it does more than it has to. */
type Answer = "answers" | "silent" | "twice";

export class ProbeDurableObject extends DurableObject<Env> {
  #name = "";
  #answer: Answer = "answers";
  #failures = 0;
  #thenSet = 0;
  #frames = 0;
  #unanswered: WebSocket | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#name = ctx.id.name ?? "";
    note(this.#name, `begins with ${ctx.getWebSockets().length}`);
  }

  override async fetch(request: Request): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#answer = (new URL(request.url).searchParams.get("answer") ?? "answers") as Answer;
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (message === "notes") {
      const heard = this.ctx.getWebSocketAutoResponseTimestamp(socket);
      const own = notes.get(this.#name) ?? [];
      socket.send(JSON.stringify({ notes: own, heard: heard !== null }));
    } else if (message === "stay") setTimeout(() => {}, 60_000);
    else if (message === "frame") {
      this.#frames += 1;
      if (this.#frames === 1) {
        setTimeout(() => {
          socket.send(`${this.#frames}`);
          this.#frames = 0;
        });
      }
    } else note(this.#name, `message ${typeof message}`);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string, clean: boolean): void {
    const all = this.ctx.getWebSockets().length;
    note(this.#name, `close ${code} "${reason}" ${clean} ${socket.readyState} ${all}`);
    this.#unanswered = socket;
    if (this.#answer === "silent") return;
    if (this.#answer === "twice") socket.send("late");
    closeAs(socket, code);
    if (this.#answer === "twice") socket.close(1000);
    note(this.#name, "closed");
  }

  override webSocketError(): void {
    note(this.#name, "error");
  }

  answer(): void {
    this.#unanswered?.close();
  }

  closeAll(): void {
    for (const socket of this.ctx.getWebSockets()) socket.close();
  }

  abort(): void {
    this.ctx.abort("a test");
  }

  /** Sets an alarm, whose handler fails so often, and sets another one before that where it is told when. */
  async alarmAt(at: number, failures: number, thenSet: number): Promise<number | null> {
    this.#failures = failures;
    this.#thenSet = thenSet;
    await this.ctx.storage.setAlarm(at);
    return await this.ctx.storage.getAlarm();
  }

  async alarmAfterDeleteAll(): Promise<number | null> {
    await this.ctx.storage.setAlarm(Date.now() + 60_000);
    await this.ctx.storage.deleteAll();
    return await this.ctx.storage.getAlarm();
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const set = await this.ctx.storage.getAlarm();
    note(this.#name, `alarm ${info?.isRetry} ${info?.retryCount} ${set}`);
    if (this.#failures === 0) return;
    this.#failures -= 1;
    if (this.#thenSet > 0) await this.ctx.storage.setAlarm(Date.now() + this.#thenSet);
    throw new Error("a test");
  }

  /** Of statements, rows written and read as they are billed. */
  counts(statements: readonly string[]): [number, number][] {
    return statements.map((statement) => {
      const cursor = this.ctx.storage.sql.exec(statement);
      cursor.toArray();
      return [cursor.rowsWritten, cursor.rowsRead];
    });
  }

  /** What SQLite takes values for. */
  bindings(): unknown[] {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS bound (number INTEGER, word TEXT, bare)");
    const types = [5, 2 ** 40, 0.5, true, "5", null, new Uint8Array([1])].map((value) => {
      sql.exec("DELETE FROM bound");
      sql.exec("INSERT INTO bound VALUES (?1, ?1, ?1)", value as number);
      const row = sql
        .exec(
          "SELECT typeof(number) AS number, typeof(word) AS word, typeof(bare) AS bare FROM bound",
        )
        .one();
      return [row["number"], row["word"], row["bare"]];
    });
    const bigint = nameOfThrown(() => sql.exec("SELECT ?", 5n as unknown as number));
    return [...types, bigint];
  }

  /** Whether an attachment of each size is taken. */
  attachments(): unknown {
    const { 1: socket } = new WebSocketPair();
    this.ctx.acceptWebSocket(socket);
    const takes = (value: ArrayBuffer | Uint8Array): boolean =>
      nameOfThrown(() => socket.serializeAttachment(value)) === "";
    const found = {
      buffer: [takes(new ArrayBuffer(16_379)), takes(new ArrayBuffer(16_380))],
      bytes: [takes(new Uint8Array(16_373)), takes(new Uint8Array(16_374))],
      // All that lies behind a view counts.
      view: takes(new Uint8Array(40_000).subarray(0, 10)),
      kept: (socket.deserializeAttachment() as Uint8Array).byteLength,
    };
    socket.close();
    return found;
  }

  /** What close() says to codes and reasons, and what the constructor of automatic answers says to a text. */
  refusals(): unknown {
    const close = (code: number, reason = ""): string =>
      nameOfThrown(() => {
        const { 0: one, 1: other } = new WebSocketPair();
        one.accept();
        other.accept();
        other.close(code, reason);
      });
    const pair = (text: string): boolean =>
      nameOfThrown(() => {
        this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(text, "x"));
      }) === "";
    return {
      sent: [1000, 1001, 1009, 1011, 3000, 4999].map((code) => close(code)),
      refused: [999, 1004, 1005, 1006, 1015, 5000].map((code) => close(code)),
      reasons: [close(1000, "x".repeat(123)), close(1000, "x".repeat(124))],
      pairs: [pair("\u00e4".repeat(1_024)), pair(`${"\u00e4".repeat(1_024)}x`)],
    };
  }

  fail(): never {
    throw Object.assign(new RangeError("a test"), { code: "UNAVAILABLE", more: { deep: 1 } });
  }
}

function closeAs(socket: WebSocket, code: number): void {
  if (code === 1005 || code === 1006) socket.close();
  else socket.close(code);
}

/** The name of what is thrown; empty where nothing is. */
function nameOfThrown(action: () => unknown): string {
  try {
    action();
    return "";
  } catch (error) {
    return error instanceof Error ? error.name : `${error}`;
  }
}

/** As the Worker that exports the class finds it. */
interface Probes {
  readonly ProbeDurableObject: {
    getByName(name: string): Record<string, (...all: unknown[]) => Promise<unknown>> & {
      fetch(request: Request): Promise<Response>;
    };
  };
}

/** A body that writes for as long as it can, or nothing after its first byte. */
function readable(name: string, signal: AbortSignal, idle: boolean): ReadableStream<Uint8Array> {
  signal.addEventListener("abort", () => note(name, "abort"));
  let timer: number | null = null;
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array([1]));
      if (idle) return;
      timer = setInterval(() => controller.enqueue(new Uint8Array([2])), TICK_MS);
    },
    cancel(reason) {
      clearInterval(timer);
      note(name, `cancel ${reason}`);
    },
  });
}

/** The same by a writer in a function of its own. */
async function write(name: string, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  try {
    for (;;) {
      await writer.write(new Uint8Array([1]));
      note(name, "written");
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  } catch (error) {
    note(name, `rejected ${error}`);
  } finally {
    note(name, "finally");
  }
}

export default {
  async fetch(request, _env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const [, kind = "", name = "", method = ""] = url.pathname.split("/");
    const { ProbeDurableObject: probes } = ctx.exports as unknown as Probes;
    switch (kind) {
      case "notes":
        return Response.json(notes.get(name) ?? []);
      case "socket":
        return await probes.getByName(name).fetch(request);
      case "call": {
        const args: unknown[] = JSON.parse(url.searchParams.get("args") ?? "[]");
        try {
          const answer = await probes.getByName(name)[method]?.(...args);
          return Response.json(answer ?? null);
        } catch (error) {
          const { name: kept, message, ...rest } = error as Error;
          return Response.json({ name: kept, message, ...rest }, { status: 500 });
        }
      }
      case "readable":
        return new Response(readable(name, request.signal, url.searchParams.has("idle")));
      case "writer": {
        const { readable: body, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const written = write(name, writable.getWriter());
        if (url.searchParams.has("wait")) ctx.waitUntil(written);
        if (url.searchParams.has("socket")) {
          const upgrade = new Request(`${url.origin}/socket`, {
            headers: { Upgrade: "websocket" },
          });
          const { webSocket } = await probes.getByName(name).fetch(upgrade);
          webSocket?.accept();
          const ticks = setInterval(() => note(name, "lives"), TICK_MS);
          webSocket?.addEventListener("close", () => {
            clearInterval(ticks);
            note(name, "socket closed");
          });
        }
        return new Response(body);
      }
      case "unread": {
        const ticks = setInterval(() => note(name, "lives"), TICK_MS);
        const body = new ReadableStream<Uint8Array>(
          {
            pull: (controller) => {
              note(name, "asked");
              controller.enqueue(new Uint8Array(2 ** 20));
            },
            cancel: () => clearInterval(ticks),
          },
          { highWaterMark: 0 },
        );
        if (url.searchParams.has("abort")) setTimeout(() => ctx.abort("a test"), 2_000);
        return new Response(body);
      }
      default:
        return new Response("a probe");
    }
  },
} satisfies ExportedHandler<Env>;
