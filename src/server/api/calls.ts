/** Calls of the server API on Node's servers: where they come from, and the patience that they need. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { background } from "../../engine/background.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Cancellation } from "../../engine/ports/backends.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import type { PlainCall, UnaryApi } from "../../http/api/unary.ts";
import { inTime, tooLate } from "../../http/body.ts";
import { toConnectError } from "../../http/statuses.ts";
import { MAX_API_REQUEST_BYTES, MAX_BODY_MS } from "../../protocol/limits.ts";
import type { TrustedProxies } from "../transport/client-address.ts";
import { LINE, type Line, lineOf } from "../transport/streams/lines.ts";

export interface ApiCallsOptions {
  readonly api: UnaryApi;
  readonly engine: Engine;
  readonly proxies: TrustedProxies;
  readonly logger: Logger;
}

/** Calls that are under way, which a server that stops waits for. */
export class ApiCalls {
  readonly #options: ApiCallsOptions;
  #count = 0;

  constructor(options: ApiCallsOptions) {
    this.#options = options;
  }

  /** Calls whose answer has not been made. */
  get size(): number {
    return this.#count;
  }

  /**
   * Lets a call take its time: nothing moves on its connection while others are asked, which the listener
   * otherwise takes for a client that has gone.
   */
  readonly patience: Interceptor = (next) => async (call) =>
    await this.#counted(call.contextValues.get(LINE), async (line) => {
      line.serve(() => {});
      return await next(call);
    });

  /** Takes a call of the plain kind. Returns whether it was one. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const { api, logger } = this.#options;
    const call = api.find({
      path: (request.url ?? "").split("?", 1)[0] ?? "",
      method: request.method ?? "",
      header: (name) => textOf(request.headers[name]),
    });
    if (call === undefined) return false;
    background(this.#answer(call, request, response), logger, "an API call");
    return true;
  }

  async #answer(
    call: PlainCall,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { engine, proxies } = this.#options;
    const peer = proxies.peerOf(request);
    const line = lineOf(request, peer.address);
    const readBody = async (): Promise<Uint8Array> => {
      line.serve(() => {});
      return await read(request);
    };
    const { status, headers, body } = await this.#counted(line, () =>
      call.answer(peer, engine, readBody, unanswered(response)),
    );
    // The client may have gone.
    if (response.destroyed) return;
    response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  }

  /** A call whose request has been read. @returns what to call once its answer has been made */
  enter(): () => void {
    this.#count += 1;
    return () => {
      this.#count -= 1;
    };
  }

  async #counted<T>(line: Line, work: (line: Line) => Promise<T>): Promise<T> {
    const leave = this.enter();
    try {
      return await work(line);
    } finally {
      line.letGo(false);
      leave();
    }
  }
}

/** Says when the caller that waits for an answer has gone. */
function unanswered(response: ServerResponse): Cancellation {
  return {
    get cancelled() {
      return response.destroyed;
    },
    onCancel(callback) {
      if (response.destroyed) callback();
      else response.once("close", callback);
    },
  };
}

/** @throws ConnectError for a body that is too long, is not whole in time, or breaks off */
function read(request: IncomingMessage): Promise<Uint8Array> {
  return inTime(readWhole(request), MAX_BODY_MS, () => toConnectError(tooLate(MAX_BODY_MS)));
}

/** What comes after it has been refused is taken, and thrown away, until the listener cuts the connection. */
function readWhole(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const tooLong = (): void => {
      const text = `a request has at most ${MAX_API_REQUEST_BYTES} bytes`;
      reject(new ConnectError(text, Code.ResourceExhausted));
    };
    if (Number(request.headers["content-length"]) > MAX_API_REQUEST_BYTES) tooLong();
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_API_REQUEST_BYTES) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      tooLong();
    });
    request.once("end", () =>
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)),
    );
    request.once("error", () => reject(new ConnectError("the body breaks off", Code.Canceled)));
    request.once("close", () => reject(new ConnectError("the body breaks off", Code.Canceled)));
  });
}

function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "object" ? header.join(", ") : header;
}
