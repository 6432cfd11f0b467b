/** The connection to the server, from its beginning to its end: tabs come back by themselves, and it does not. */
import type { MessagingError } from "../../../protocol/errors.ts";
import { CAPABILITIES, type Connection, connectionOf } from "../../core/connection.ts";
import type { Clock, Transport, TransportEnd, TransportFactory } from "../../core/ports.ts";
import type {
  Codec,
  ConnectedFrame,
  ConnectRequest,
  Frame,
  OutboundFrame,
} from "../../wire/frames.ts";

export interface UpstreamTerms {
  /** Absolute. */
  readonly url: string;
  readonly codec: Codec;
  readonly transport: TransportFactory;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
}

/** How it has ended, in the server's own words where there are any. */
export interface UpstreamEnd extends TransportEnd {
  /** What tabs get before: an announced close, a refusal. */
  readonly told: readonly OutboundFrame[];
  readonly error: MessagingError;
}

export interface UpstreamOwner {
  connected(frame: ConnectedFrame, time: number): void;
  frame(frame: OutboundFrame): void;
  report(error: unknown): void;
  /** Once; not after `close`. */
  ended(end: UpstreamEnd): void;
}

const LOST = 1006;

export class Upstream {
  readonly connection: Connection;
  #transport: Transport | undefined;
  /** What the transport has said of its end beside code and reason. */
  #how: Pick<TransportEnd, "fatal" | "retryAfterMs"> = {};
  #connected = false;
  /** What was said of its end, by kind. */
  readonly #told = new Map<"refusal" | "disconnect", OutboundFrame>();

  constructor(terms: UpstreamTerms, request: ConnectRequest, owner: UpstreamOwner) {
    const { client_id = "", client_type = "sdk", version = "1.0.0", token = "" } = request;
    const { codec, transport } = terms;
    this.connection = connectionOf(
      {
        ...{ ...terms, clientId: client_id, clientType: client_type, version, token },
        codec: {
          subprotocol: codec.subprotocol,
          encode: (frame) => codec.encode(frame),
          decode: (frame) => this.#decode(codec, frame),
        },
        transport: this.#watched(transport),
        capabilities: CAPABILITIES,
        reconnect: false,
        patient: false,
        surroundings: { watch: () => () => {} },
      },
      {
        subscriptions: () => [],
        connected: (frame, time) => {
          this.#connected = true;
          owner.connected(frame, time);
        },
        frame: (frame) => owner.frame(frame),
        refreshed: () => {},
        lost: () => {},
        changed: ({ state, error }) => {
          if (state === "closed" && error !== undefined) owner.ended(this.#end(error));
        },
        report: (error) => owner.report(error),
      },
    );
  }

  /** Begins. It may end inside of the call. */
  start(): void {
    this.connection.start();
  }

  /** Ends it. @param code 1000, or 3000 where its session is wanted again soon */
  close(code: number, reason: string): void {
    // The first close counts.
    this.#transport?.close(code, reason);
    this.connection.close().catch(() => {});
  }

  #decode(codec: Codec, data: Frame): OutboundFrame {
    const frame = codec.decode(data);
    if (frame.disconnect !== undefined)
      this.#told.set("disconnect", { disconnect: frame.disconnect });
    if (frame.error !== undefined && !this.#connected) {
      this.#told.set("refusal", { error: frame.error });
    }
    return frame;
  }

  #watched(factory: TransportFactory): TransportFactory {
    return {
      name: factory.name,
      open: (url, subprotocol, events) => {
        this.#transport = factory.open(url, subprotocol, {
          ...events,
          ended: (end) => {
            const { fatal = false, retryAfterMs = 0 } = end;
            this.#how = { fatal, retryAfterMs };
            events.ended(end);
          },
        });
        return this.#transport;
      },
    };
  }

  #end(error: MessagingError): UpstreamEnd {
    const { close } = error;
    const told = [...this.#told.values()];
    if (close !== undefined) return { ...close, ...this.#how, told, error };
    // It never was a connection: another try cannot help.
    const { code, message } = error;
    const refusal = { error: { code, message } };
    return { code: LOST, reason: message, fatal: true, told: [refusal], error };
  }
}

/**
 * Who a token stands for, as the server says.
 *
 * @throws MessagingError the server's refusal, or UNAVAILABLE
 */
export function userOf(terms: UpstreamTerms, request: ConnectRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    const upstream = new Upstream(terms, request, {
      connected: ({ user_id = "" }) => {
        upstream.close(1000, "");
        resolve(user_id);
      },
      frame: () => {},
      report: () => {},
      ended: ({ error }) => reject(error),
    });
    upstream.start();
  });
}
