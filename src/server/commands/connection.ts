/** How the client commands reach a server: their common options, and one connection of the SDK's. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { WebSocket } from "ws";
import { type CloudEvent, fromWireEvent, toWireEvent } from "../../client/core/cloud-event.ts";
import { type Connection, connectionOf } from "../../client/core/connection.ts";
import { systemClock } from "../../client/core/environment.ts";
import type { PublishResult } from "../../client/core/ports.ts";
import type { AnswerKind, Answers, Terms } from "../../client/core/requests.ts";
import { type WebSocketConstructor, webSocket } from "../../client/core/websocket.ts";
import { protobuf } from "../../client/protobuf/codec.ts";
import type { InboundFrame, OutboundFrame } from "../../client/wire/frames.ts";
import { json } from "../../client/wire/json.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { VERSION } from "../version.ts";
import { Failure, oneLine } from "./failure.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly token?: string;
  readonly proto?: true;
}

/** What a command hears that it has not asked for. */
export interface Listener {
  frame(frame: OutboundFrame): void;
  error(error: MessagingError): void;
  closed(close: { readonly code: number; readonly reason: string }): void;
}

/** Milliseconds until the server is given up. */
const CONNECT_TIMEOUT_MS = 30_000;
/** Milliseconds until a request without an answer fails. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than the server waits for a backend by default, so that its own answer comes first. */
const RPC_TIMEOUT_MS = 35_000;
/** `credit` says that we read. */
const CAPABILITIES = ["control", "credit"];
const NOBODY: Listener = { frame() {}, error() {}, closed() {} };

/** Adds `--url`, `--token` and `--proto`. */
export function addConnectionOptions(command: Command): Command {
  return addTokenOptions(
    command.addOption(
      new Option("--url <url>", "the server's WebSocket endpoint")
        .default("ws://localhost:9080/ws")
        .argParser(webSocketUrl),
    ),
  );
}

/** Those of a command that names its server by an argument. */
export function addTokenOptions(command: Command): Command {
  return command
    .addOption(
      // Arguments stand in the list of processes, where others can read them.
      new Option("--token <token>", "what authenticates the user").env("MESSAGELOOP_TOKEN"),
    )
    .option("--proto", "speak protobuf instead of JSON");
}

/** One session with a server. */
export class Session {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async publish(channel: string, event: CloudEvent): Promise<PublishResult> {
    const [ack] = await this.request({ channel, publish: toWireEvent(event) }, "publish_ack");
    const { offset = 0, epoch = "", duplicate = false } = ack ?? {};
    return { offset, epoch, duplicate };
  }

  /** Asks the application's backend. */
  async rpc(
    channel: string,
    method: string,
    event: CloudEvent,
    timeoutMs = RPC_TIMEOUT_MS,
  ): Promise<CloudEvent> {
    const frame = { channel, method, rpc_request: toWireEvent(event) };
    const [reply] = await this.request(frame, "rpc_reply", { timeoutMs, late: "RPC_TIMEOUT" });
    return fromWireEvent(reply);
  }

  /** Resolves with the answer, in its parts. */
  request<Kind extends AnswerKind>(
    frame: InboundFrame,
    kind: Kind,
    terms: Partial<Pick<Terms<Kind, unknown>, "late" | "timeoutMs">> = {},
  ): Promise<Answers<Kind>> {
    const take = (answers: Answers<Kind>) => answers;
    return this.#connection.request(frame, {
      ...{ kind, take, timeoutMs: REQUEST_TIMEOUT_MS },
      ...terms,
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/**
 * Runs a command's work on a connection, which is closed afterwards.
 *
 * @param capabilities what is announced beside that this client reads
 * @throws Failure with one line for what the server or the network refuses.
 */
export async function withConnection<T>(
  options: ConnectionOptions,
  work: (session: Session) => Promise<T>,
  listener: Listener = NOBODY,
  capabilities: readonly string[] = [],
): Promise<T> {
  const session = await openSession(options, listener, capabilities);
  try {
    return await work(session);
  } catch (error) {
    throw failure(error);
  } finally {
    await session.close();
  }
}

/**
 * A session that its opener closes.
 *
 * @param capabilities what is announced beside that this client reads
 * @throws Failure with one line for what the server or the network refuses
 */
export async function openSession(
  options: ConnectionOptions,
  listener: Listener,
  capabilities: readonly string[] = [],
): Promise<Session> {
  let reason: string | undefined;
  class Socket extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols);
      // The SDK hears of the close that follows, which does not say why.
      this.on("error", (error: NodeJS.ErrnoException) => {
        reason = error.message || error.code;
      });
    }
  }
  try {
    const transport = webSocket(Socket as unknown as WebSocketConstructor);
    return await open(options, transport, listener, [...CAPABILITIES, ...capabilities]);
  } catch (error) {
    const why = reason === undefined ? failure(error).message : oneLine(reason);
    throw new Failure(`cannot connect to ${options.url}: ${why}`);
  }
}

/** Resolves when the server has answered connect. It ends with its connection. */
function open(
  { url, token = "", proto }: ConnectionOptions,
  transport: ReturnType<typeof webSocket>,
  listener: Listener,
  capabilities: readonly string[],
): Promise<Session> {
  return new Promise((resolve, reject) => {
    const connection = connectionOf(
      {
        ...{ url, token, capabilities },
        clientId: "",
        clientType: "cli",
        version: VERSION,
        codec: proto === true ? protobuf : json,
        transport,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        reconnect: false,
        patient: false,
        clock: systemClock,
        surroundings: { watch: () => () => {} },
      },
      {
        subscriptions: () => [],
        connected: ({ publications = [] }) => {
          for (const publication of publications) listener.frame({ publication });
        },
        frame: (frame) => listener.frame(frame),
        refreshed: () => {},
        lost: () => {},
        changed: ({ state, error }) => {
          if (state === "connected") resolve(new Session(connection));
          else if (error !== undefined) {
            reject(error);
            listener.closed(error.close ?? { code: 0, reason: error.message });
          }
        },
        report: (error) => listener.error(MessagingError.from(error)),
      },
    );
    connection.start();
  });
}

/** An error of the SDK as the line that a command ends with. */
function failure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof MessagingError) {
    return new Failure(oneLine(`${error.code}: ${error.message}`));
  }
  return new Failure(oneLine(error instanceof Error ? error.message : String(error)));
}

/** @throws InvalidArgumentError where it is no address of a WebSocket endpoint */
export function webSocketUrl(text: string): string {
  const { protocol, hash } = URL.canParse(text) ? new URL(text) : { protocol: "", hash: "" };
  if ((protocol === "ws:" || protocol === "wss:") && hash === "") return text;
  throw new InvalidArgumentError("It must be an address such as ws://localhost:9080/ws.");
}
