/** How the client commands reach a server: their common options, and one connection by the SDK. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { WebSocket } from "ws";
import { dial, type MessageLoopClient } from "../../client/client.ts";
import {
  type ClientOption,
  type WebSocketConstructor,
  withClientType,
  withEncoding,
  withToken,
  withVersion,
  withWebSocket,
} from "../../client/options.ts";
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
  more: readonly ClientOption[],
  work: (client: MessageLoopClient) => Promise<T>,
): Promise<T> {
  const client = await connect(options, more);
  try {
    return await work(client);
  } catch (error) {
    throw failure(error);
  } finally {
    await client.close();
  }
}

async function connect(
  { url, token = "", proto }: ConnectionOptions,
  more: readonly ClientOption[],
): Promise<MessageLoopClient> {
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
    return await dial(url, [
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
