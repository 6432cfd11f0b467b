/** What can be set when dialling. */
import type { MessagingError } from "../../protocol/errors.ts";
import type { Codec } from "../wire/frames.ts";
import type { TokenRequest } from "./connection.ts";
import type { Signal } from "./emitter.ts";
import type { Clock, QueueFactory, Surroundings, TransportFactory } from "./ports.ts";
import type { Schemas } from "./types.ts";

/** Settings of one client. */
export interface ClientOptions<Channels extends object = Record<string, unknown>> {
  /** The client's own name for itself. Other clients see it; it proves nothing. Default: random. */
  readonly clientId?: string;
  /** What kind of client this is, such as `web`. Default `sdk`. */
  readonly clientType?: string;
  /** The application's version. Default `1.0.0`. */
  readonly version?: string;
  /** What authenticates the user. */
  readonly token?: string;
  /**
   * Brings a token: before the first connection unless `token` is set, before others unless it was asked less than a minute
   * ago, when one has expired and shortly before that. Null says that there is none any more, which closes the client.
   */
  readonly getToken?: (request: TokenRequest) => string | null | Promise<string | null>;
  /** `json`, or the codec of `messageloop/protobuf`. Default `json`. */
  readonly encoding?: "json" | Codec;
  /** The way to the server. Default: `webSocket()`; `messageloop/stream` has others. */
  readonly transport?: TransportFactory;
  /** What keeps publishes while there is no connection; false keeps none. Default: 100, 1 MiB, one hour, in memory. */
  readonly queue?: QueueFactory | false;
  /** What channels must carry: checked when publishing and when receiving. */
  readonly schemas?: Schemas<Channels>;
  /** Milliseconds until an attempt to connect is given up. Default 30,000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds until a request without an answer rejects. Default 10,000. */
  readonly requestTimeoutMs?: number;
  /** Is given errors that belong to no request, those of the application's handlers included. */
  readonly onError?: (error: MessagingError) => void;
  /** Closes the client. */
  readonly signal?: Signal;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
  /** The page around the client, for tests. */
  readonly surroundings?: Surroundings;
}
