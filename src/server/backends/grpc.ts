/** Calls of a backend over gRPC, on one connection that is kept. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { BackendFailure, type Cancellation } from "../../engine/ports/backends.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { ProxyService } from "../../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { AddressGuard } from "../../proxy/addresses.ts";
import type { BackendConfig } from "../../proxy/backend-config.ts";
import { traceHeaders } from "../../proxy/calls/head.ts";
import { NotSent } from "../../proxy/calls/lane.ts";
import { failureOf as failureOfCode } from "../../proxy/http/connect.ts";
import { HOOKS, type Hook } from "../../proxy/service.ts";
import { HeardSessions } from "./heard-sessions.ts";
import { guardedLookup, RefusedAddress } from "./lookup.ts";

/** How long a connection may take to open, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
/** How long a connection may be quiet until it is looked at; servers in Go forbid it more often. In milliseconds. */
const PING_INTERVAL_MS = 300_000;
const PING_TIMEOUT_MS = 5_000;
/** How long a connection is kept that nothing is sent on, in milliseconds. */
const IDLE_MS = 60_000;
/** Connections that no call begins on any more, and that some may still be under way on. */
const MOST_RETIRED = 8;

/** What a connection fails with before anything is sent on it. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
]);

/**
 * Codes by which a backend refuses a subscription that was written for v0.1.1, where an answer had no place for a
 * refusal: functions that return a plain error of their language have one of these.
 */
const REFUSING: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.OutOfRange,
]);

/** A connection, and what is sent on it. */
interface Line {
  readonly connection: Http2SessionManager;
  readonly transport: Transport;
}

/**
 * Calls of one backend over gRPC. A connection that is good for nothing any more is replaced, and the calls that are under
 * way on it end by themselves.
 */
export class GrpcSender {
  readonly #config: BackendConfig;
  #line: Line;
  readonly #retired: Line[] = [];

  constructor(config: BackendConfig) {
    this.#config = config;
    this.#line = lineTo(config);
  }

  /**
   * Asks once.
   *
   * @param timeoutMs the deadline that the backend is given, in whole milliseconds
   * @throws BackendFailure, and a MessagingError where it has refused without an answer
   */
  async send<I extends DescMessage, O extends DescMessage>(
    hook: Hook<I, O>,
    message: MessageShape<I>,
    cancellation: Cancellation,
    timeoutMs: number,
  ): Promise<MessageShape<O>> {
    const abort = new AbortController();
    cancellation.onCancel(() => abort.abort());
    const line = this.#line;
    const { headers } = this.#config;
    const { span } = cancellation;
    try {
      const response = await line.transport.unary(
        methodOf(hook),
        abort.signal,
        timeoutMs,
        span === undefined ? headers : { ...headers, ...traceHeaders(span) },
        message as MessageInitShape<I>,
      );
      return response.message;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (isSpoiled(error)) this.#retire(line);
      throw failureOf(hook, error);
    }
  }

  /** Cuts all connections. The next call opens another. */
  reconnect(): void {
    for (const { connection } of [this.#line, ...this.#retired.splice(0)]) connection.abort();
  }

  /** Has the next calls begin on another connection. Those that are under way on this one go on. */
  #retire(line: Line): void {
    if (line !== this.#line) return;
    this.#retired.push(line);
    if (this.#retired.length > MOST_RETIRED) this.#retired.shift()?.connection.abort();
    this.#line = lineTo(this.#config);
  }
}

function lineTo(config: BackendConfig): Line {
  const baseUrl = new URL(config.url).origin;
  const connection = new Http2SessionManager(
    baseUrl,
    {
      pingIntervalMs: PING_INTERVAL_MS,
      pingTimeoutMs: PING_TIMEOUT_MS,
      idleConnectionTimeoutMs: IDLE_MS,
    },
    { createConnection: () => connect(config) },
  );
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: new HeardSessions(connection),
    readMaxBytes: config.maxResponseBytes,
    // An answer that grows when it is read is not asked for, and not read.
    acceptCompression: [],
    binaryOptions: { readUnknownFields: false },
  });
  return { connection, transport };
}

/** A connection to an address that the guard has let pass. */
function connect({ url, tls, allowedAddresses }: BackendConfig): Socket {
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === "https:";
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const to = {
    host,
    port: Number(port || (secure ? 443 : 80)),
    lookup: guardedLookup(new AddressGuard(allowedAddresses)),
  };
  // Addresses have no place in the name that a client of TLS asks for.
  const servername = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  const socket = secure
    ? connectTls({
        ...to,
        ALPNProtocols: ["h2"],
        rejectUnauthorized: !tls.insecureSkipVerify,
        ...(servername === undefined ? {} : { servername }),
      })
    : connectTcp(to);
  const timer = setTimeout(() => {
    socket.destroy(new ConnectError("cannot connect in time", Code.Unavailable));
  }, CONNECT_TIMEOUT_MS);
  const stop = () => clearTimeout(timer);
  socket.once(secure ? "secureConnect" : "connect", stop).once("close", stop);
  return socket.setNoDelay(true);
}

function methodOf<I extends DescMessage, O extends DescMessage>({
  procedure,
}: Hook<I, O>): DescMethodUnary<I, O> {
  return ProxyService.methods.find(({ name }) => name === procedure) as unknown as DescMethodUnary<
    I,
    O
  >;
}

/**
 * Whether a connection is good for nothing any more. A server in Node counts what it could not send of an answer that
 * was not read against the memory of the connection, and refuses all further streams on it.
 */
function isSpoiled(error: ConnectError): boolean {
  return isTooLarge(error) || error.rawMessage.includes("ENHANCE_YOUR_CALM");
}

/** Whether an answer was longer than it may be; a backend that has had enough says so by the same code. */
function isTooLarge({ code, rawMessage }: ConnectError): boolean {
  return code === Code.ResourceExhausted && rawMessage.includes("readMaxBytes");
}

/** What a call has failed with. Words of the backend are not passed on. */
function failureOf(hook: Hook, error: ConnectError): BackendFailure | MessagingError {
  const causes = causesOf(error);
  const refused = causes.find((cause) => cause instanceof RefusedAddress);
  if (refused !== undefined) return new BackendFailure("unreachable", refused.message);
  const codes = causes.map(({ code }) => `${code}`);
  const unconnected = codes.find((code) => NOT_CONNECTED.has(code));
  if (unconnected !== undefined) {
    return new NotSent("unreachable", `cannot connect: ${unconnected}`);
  }
  if (isTooLarge(error)) return new BackendFailure("too_large", "the answer is too long");
  const { name, refusal } = hook;
  if (name === HOOKS.subscribeAcl.name && REFUSING.has(error.code) && refusal !== undefined) {
    return new MessagingError(...refusal);
  }
  // Also a connection that broke: the outcome of the call is unknown.
  const broken = error.code === Code.Unavailable || error.code === Code.Aborted;
  if (broken) return new BackendFailure("unreachable", `code ${nameOf(error.code)}`);
  return failureOfCode(hook, nameOf(error.code));
}

function causesOf(error: Error): readonly NodeJS.ErrnoException[] {
  const causes: Error[] = [];
  for (let one: unknown = error; one instanceof Error && !causes.includes(one); one = one.cause) {
    causes.push(one);
    if (one instanceof AggregateError) causes.push(...one.errors.filter(isError));
  }
  return causes;
}

function isError(value: unknown): value is Error {
  return value instanceof Error;
}

/** As Connect writes it, such as `permission_denied`. */
function nameOf(code: Code): string {
  return Code[code].replaceAll(/(?<=.)[A-Z]/g, "_$&").toLowerCase();
}
