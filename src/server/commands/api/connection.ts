/** How commands reach the server API: with which key, and what they say when it fails. */
import { readFile } from "node:fs/promises";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { errorFrom } from "../../../protocol/errors.ts";
import { APIService } from "../../../protocol/gen/messageloop/server/v1/api_pb.js";
import {
  type Error as ErrorMessage,
  ErrorSchema,
} from "../../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import { DEV_KEY_FILE } from "../../api/dev-key.ts";
import { EXIT_WRONG, Failure, oneLine } from "../failure.ts";
import { printNote } from "../output.ts";
import { type ApiOptions, KEY_VARIABLE } from "./options.ts";

export type Api = Client<typeof APIService>;

const TIMEOUT_MS = 30_000;
/** What a header can carry. */
const KEY = /^[\x21-\x7e]+$/;

/**
 * Runs a command's work on the server API.
 *
 * @throws Failure with one line for what the server or the network refuses
 */
export async function withApi<T>(options: ApiOptions, work: (api: Api) => Promise<T>): Promise<T> {
  const { api } = options;
  const key = await keyOf(options);
  warnOfPlain(api);
  const authorized: Interceptor = (next) => async (request) => {
    request.header.set("Authorization", `Bearer ${key}`);
    return await next(request);
  };
  const transport = createConnectTransport({
    baseUrl: api,
    httpVersion: "1.1",
    interceptors: [authorized],
    defaultTimeoutMs: TIMEOUT_MS,
  });
  try {
    return await work(createClient(APIService, transport));
  } catch (error) {
    throw failure(error, api);
  }
}

/** An item that was refused, as the line that is said of it. */
export function refusal(error: ErrorMessage): string {
  const { code, message } = errorFrom(error);
  return oneLine(`${code}: ${message}`);
}

/**
 * The key for servers that need none for what is asked of them, or one: that of the option or of the environment.
 *
 * @throws Failure where there is to be one and is none
 */
export async function keyIfAny(
  addresses: readonly string[],
  keyFile: string | undefined,
): Promise<string | undefined> {
  if (keyFile === undefined && (process.env[KEY_VARIABLE] ?? "") === "") return undefined;
  const [api = ""] = addresses;
  const key = await keyOf({ api, ...(keyFile === undefined ? {} : { keyFile }) });
  for (const address of addresses) warnOfPlain(address);
  return key;
}

function warnOfPlain(api: string): void {
  const { protocol, host, hostname } = new URL(api);
  if (protocol !== "http:" || isLoopback(hostname)) return;
  printNote(`the key goes to ${host} by plain HTTP, where others can read it`);
}

async function keyOf({ api, keyFile }: ApiOptions): Promise<string> {
  const fromEnvironment = process.env[KEY_VARIABLE] ?? "";
  if (keyFile !== undefined) return checked(await fileText(keyFile), keyFile);
  if (fromEnvironment !== "") return checked(fromEnvironment, KEY_VARIABLE);
  if (isLoopback(new URL(api).hostname)) {
    const text = await readFile(DEV_KEY_FILE, "utf8").catch(() => undefined);
    if (text !== undefined) return checked(text, DEV_KEY_FILE);
  }
  throw new Failure(`there is no key: use --key-file or ${KEY_VARIABLE}`, EXIT_WRONG);
}

async function fileText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : message;
    throw new Failure(oneLine(`cannot read ${file}: ${why}`), EXIT_WRONG);
  }
}

/** What it holds is not repeated: it may be some other secret. */
function checked(text: string, where: string): string {
  const key = text.trim();
  if (KEY.test(key)) return key;
  throw new Failure(`${where} holds no key`, EXIT_WRONG);
}

function failure(error: unknown, api: string): Failure {
  if (error instanceof Failure) return error;
  const known = ConnectError.from(error);
  const [stated] = known.findDetails(ErrorSchema);
  if (stated !== undefined) return new Failure(refusal(stated));
  const { cause, code, rawMessage } = known;
  // The library knows no more than the status where an answer is none of the protocol.
  if (code === Code.Unimplemented) return new Failure(`there is no server API at ${api}`);
  if (code === Code.DeadlineExceeded) {
    return new Failure(`${api} has not answered in ${TIMEOUT_MS / 1000} s`);
  }
  const text = cause instanceof Error ? textOf(cause) : rawMessage;
  return new Failure(oneLine(`cannot reach ${api}: ${text}`));
}

/** Where several addresses were tried the error itself says nothing. */
function textOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return first instanceof Error ? first.message : error.message;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
