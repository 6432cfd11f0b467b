/** Sessions of HTTP/2 that may fail at any time, and end no process by that. */
import type { ClientHttp2Stream, Http2Session } from "node:http2";
import type { Http2SessionManager } from "@connectrpc/connect-node";

/** What a transport asks of its session manager. */
export type Sessions = Pick<
  Http2SessionManager,
  "authority" | "request" | "notifyResponseByteRead"
>;

/**
 * A session manager whose sessions always have a listener for their errors. The library takes its own off when it
 * leaves a session. One that a backend has asked to go away fails a moment later, and where a call came in between,
 * the error would be uncaught: in a program with the server in it, that ends the program.
 *
 * @example
 * const sessions = new Http2SessionManager("http://127.0.0.1:50051");
 * const transport = createGrpcTransport({ baseUrl, sessionManager: new HeardSessions(sessions) });
 */
export class HeardSessions implements Sessions {
  readonly #sessions: Sessions;
  readonly #heard = new WeakSet<Http2Session>();

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  get authority(): string {
    return this.#sessions.authority;
  }

  async request(...call: Parameters<Sessions["request"]>): Promise<ClientHttp2Stream> {
    const stream = await this.#sessions.request(...call);
    const { session } = stream;
    if (session !== undefined && !this.#heard.has(session)) {
      this.#heard.add(session);
      // The library reports to the calls under way what they fail with.
      session.on("error", () => {});
    }
    return stream;
  }

  notifyResponseByteRead(stream: ClientHttp2Stream): void {
    this.#sessions.notifyResponseByteRead(stream);
  }
}
