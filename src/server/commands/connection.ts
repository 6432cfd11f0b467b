/** How the client commands reach a server: their common options, and one connection by the SDK. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { WebSocket } from "ws";
import { dial, type MessageLoopClient } from "../../client/v0/client.ts";
import {
  type Connection,
  type ConnectionEvents,
  openConnection,
} from "../../client/v0/connection.ts";
import {
  buildOptions,
  type ClientOption,
  type WebSocketConstructor,
  withClientType,
  withEncoding,
  withToken,
  withVersion,
  withWebSocket,
} from "../../client/v0/options.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { VERSION } from "../version.ts";
import { Failure, oneLine } from "./failure.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly token?: string;
  readonly proto?: true;
}

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--url <url>", "the server's WebSocket endpoint")
        .default("ws://localhost:9080/ws")
        .argParser(webSocketUrl),
    )
    .addOption(
      // Arguments stand in the list of processes, where others can read them.
      new Option("--token <token>", "what authenticates the user").env("MESSAGELOOP_TOKEN"),
    )
    .option("--proto", "speak protobuf instead of JSON");
}

/**
 * Runs a command's work on a connection, which is closed afterwards.
 *
 * @throws Failure with one line for whatever the server or the network refuses.
 */
export async function withConnection<T>(
  options: ConnectionOptions,
  work: (client: MessageLoopClient) => Promise<T>,
): Promise<T> {
  return await run(options, [], (all) => dial(options.url, all), work);
}

/**
 * The same for what the client of applications does not offer: a connection as it is.
 *
 * @param capabilities what is announced
 */
export async function withSession(
  options: ConnectionOptions,
  capabilities: readonly string[],
  events: ConnectionEvents,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const announced: ClientOption = (built) => {
    built.capabilities = capabilities;
  };
  const open = async (all: readonly ClientOption[]): Promise<Connection> => {
    const connection = openConnection(options.url, buildOptions(all), events);
    await connection.opened;
    return connection;
  };
  await run(options, [announced], open, work);
}

async function run<Opened extends { close(): Promise<void> }, T>(
  options: ConnectionOptions,
  more: readonly ClientOption[],
  open: (all: readonly ClientOption[]) => Promise<Opened>,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  const opened = await connect(options, more, open);
  try {
    return await work(opened);
  } catch (error) {
    throw failure(error);
  } finally {
    await opened.close();
  }
}

async function connect<Opened>(
  { url, token = "", proto }: ConnectionOptions,
  more: readonly ClientOption[],
  open: (all: readonly ClientOption[]) => Promise<Opened>,
): Promise<Opened> {
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
    return await open([
      withWebSocket(Socket as unknown as WebSocketConstructor),
      withClientType("cli"),
      withVersion(VERSION),
      withEncoding(proto === true ? "proto" : "json"),
      withToken(token),
      ...more,
    ]);
  } catch (error) {
    const why = reason === undefined ? failure(error).message : oneLine(reason);
    throw new Failure(`cannot connect to ${url}: ${why}`);
  }
}

/** An error of the SDK as the line that a command ends with. */
function failure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof MessagingError) {
    return new Failure(oneLine(`${error.code}: ${error.message}`));
  }
  return new Failure(oneLine(error instanceof Error ? error.message : String(error)));
}

function webSocketUrl(text: string): string {
  const { protocol, hash } = URL.canParse(text) ? new URL(text) : { protocol: "", hash: "" };
  if ((protocol === "ws:" || protocol === "wss:") && hash === "") return text;
  throw new InvalidArgumentError("It must be an address such as ws://localhost:9080/ws.");
}
