/**
 * What lies below a call, as far as the library does not show it to a handler: where the call comes from, and its
 * stream or connection, which has to be let go of, with or without the client.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerRequest, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import { MAX_BODY_MS } from "../../../protocol/limits.ts";
import type { TrustedProxies } from "../client-address.ts";
import { closeTimeoutMs, endLater } from "../deadline.ts";
import { SILENCE_MS } from "../listeners.ts";

/** How long a call that is no session may take once its request is whole, in milliseconds: it is answered at once. */
const REFUSED_MS = 7_000;
/** How long nothing may move on a connection while a request is waited for, in milliseconds: it is late before. */
const WAIT_MS = MAX_BODY_MS + 1_000;
/** How long a client may take to end its own half after the server's, in milliseconds. */
const LINGER_MS = 100;

/** The way of one call to its client and back. */
export interface Line {
  /** Where the client is; empty where that is not known. */
  readonly address: string;
  /**
   * The request is waited for, for longer than a client may be silent that has sent its request.
   *
   * @returns what to call when it is not any more
   */
  await(): () => void;
  /**
   * The call is a session: it may be quiet for as long as it likes.
   *
   * @param closed is called once, when the last byte has gone or the client has
   * @returns whether it will be; otherwise there is nothing to wait for
   */
  serve(closed: () => void): boolean;
  /** Nothing more will be written. Frees what there is once that is read, or soon; `slow` clients have more time. */
  letGo(slow: boolean): void;
}

/** Of a call of which nothing is known. */
const NO_LINE: Line = {
  address: "",
  await: () => () => {},
  serve: () => false,
  letGo: () => {},
};

export const LINE = createContextKey<Line>(NO_LINE);

/** By request, over HTTP/1.1. */
const responses = new WeakMap<IncomingMessage, ServerResponse>();

/** Belongs before a handler of HTTP/1.1, which gets its requests only. */
export function remember(request: IncomingMessage, response: ServerResponse): void {
  responses.set(request, response);
}

/**
 * Belongs into connectNodeAdapter as `contextValues`. Without it a server does not know where a stream
 * comes from, and cannot let go of a client that does not end its half or never reads the end.
 *
 * @param proxies whose word on where a stream comes from is taken
 */
export function peerContext(
  proxies: TrustedProxies,
): (request: IncomingMessage | Http2ServerRequest) => ContextValues {
  return (request) => {
    const address = proxies.clientOf(request.socket.remoteAddress, request.headers);
    return createContextValues().set(LINE, lineOf(request, address));
  };
}

/** The line of a call. Over HTTP/1.1 it can do nothing for one that is not remembered. */
export function lineOf(request: IncomingMessage | Http2ServerRequest, address: string): Line {
  if (request instanceof Http2ServerRequest) return new Http2Line(request.stream, address);
  const response = responses.get(request);
  if (response === undefined) return { ...NO_LINE, address };
  return new Http1Line(request.socket, response, address);
}

class Http2Line implements Line {
  readonly address: string;
  readonly #stream: ServerHttp2Stream;
  /** Frees the stream of a call that does not become a session, with or without its client. */
  #timer: NodeJS.Timeout;
  #served = false;

  constructor(stream: ServerHttp2Stream, address: string) {
    this.address = address;
    this.#stream = stream;
    // A client that goes while the library waits for its stream to drain fails the write with ECANCELED,
    // which the library prints as an error. With the event `drain` it sees for itself that it is over.
    stream.once("aborted", () => stream.emit("drain"));
    this.#timer = this.#within(REFUSED_MS);
    stream.once("close", () => clearTimeout(this.#timer));
  }

  await(): () => void {
    clearTimeout(this.#timer);
    this.#timer = this.#within(WAIT_MS);
    return () => {
      if (this.#served) return;
      clearTimeout(this.#timer);
      this.#timer = this.#within(REFUSED_MS);
    };
  }

  #within(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#stream.destroy(), ms).unref();
  }

  serve(closed: () => void): boolean {
    if (this.#stream.destroyed) return false;
    this.#served = true;
    clearTimeout(this.#timer);
    this.#stream.once("close", closed);
    return true;
  }

  letGo(slow: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    let timer = setTimeout(() => {
      stream.close(constants.NGHTTP2_CANCEL);
      // What the client does not read would keep the stream as well.
      stream.destroy();
    }, closeTimeoutMs(slow)).unref();
    stream.once("wantTrailers", () => {
      // Everything is sent. The event `finish` would be too early: it cuts the trailers off.
      clearTimeout(timer);
      timer = setTimeout(() => {
        stream.close(constants.NGHTTP2_NO_ERROR);
        // What the library has refused to read would keep the stream, and with it the connection.
        stream.destroy();
      }, LINGER_MS).unref();
    });
    stream.once("close", () => clearTimeout(timer));
  }
}

class Http1Line implements Line {
  readonly address: string;
  readonly #socket: Socket;
  readonly #response: ServerResponse;
  #served = false;

  constructor(socket: Socket, response: ServerResponse, address: string) {
    this.address = address;
    this.#socket = socket;
    this.#response = response;
  }

  await(): () => void {
    this.#socket.setTimeout(WAIT_MS);
    return () => {
      if (!this.#served && !this.#response.destroyed) this.#socket.setTimeout(SILENCE_MS);
    };
  }

  serve(closed: () => void): boolean {
    const response = this.#response;
    if (response.destroyed) return false;
    this.#served = true;
    // The server cuts connections on which nothing moves. It sets the time again for the next request.
    this.#socket.setTimeout(0);
    response.once("close", () => {
      // The library may wait for it to drain, and would do so for ever.
      response.emit("drain");
      closed();
    });
    return true;
  }

  letGo(slow: boolean): void {
    const response = this.#response;
    if (!response.destroyed) endLater(response, slow, () => this.#socket.destroy());
  }
}
