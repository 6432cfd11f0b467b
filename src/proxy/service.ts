/**
 * `ProxyService`, which is what every backend over a network is asked by, as Backends: what the messages are made
 * of, and what the answers mean. Each `call` brings them there in its own way.
 */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Action, Grant } from "../engine/ports/access.ts";
import type {
  AuthenticateRequest,
  AuthorizeSubscribeRequest,
  Backends,
  Caller,
  Cancellation,
  RpcRequest,
} from "../engine/ports/backends.ts";
import type { Identity } from "../engine/ports/identity.ts";
import { MessagingError } from "../protocol/errors.ts";
import type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  AuthenticateRequestSchema,
  type Caller as CallerMessage,
  type Grant as GrantMessage,
  ProxyService,
  type RPCRequestSchema,
  SubscribeAclRequestSchema,
  type UserInfo,
} from "../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import type { Error as ErrorMessage } from "../protocol/gen/messageloop/shared/v1/errors_pb.js";
import type { ErrorCode } from "../protocol/lean/error-kinds.ts";

/** Something that a backend is asked, or that is reported to it: a procedure of `ProxyService`. */
export interface Hook<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage> {
  /** What requests, the log and metrics call it. */
  readonly name: string;
  /** The name of the procedure. */
  readonly procedure: string;
  readonly input: I;
  readonly output: O;
  /**
   * What the client gets where a backend refuses without words of its own, such as by status 403. Undefined where
   * that is a failure.
   */
  readonly refusal: readonly [code: ErrorCode, text: string] | undefined;
}

const { method } = ProxyService;

/** All there are, by their names in code. */
export const HOOKS = {
  rpc: hook("rpc", method.rPC),
  authenticate: hook("authenticate", method.authenticate, ["AUTH_ERROR", "authentication failed"]),
  subscribeAcl: hook("subscribe_acl", method.subscribeAcl, ["ACL_ERROR", "authorization failed"]),
  onConnected: hook("on_connected", method.onConnected),
  onSubscribed: hook("on_subscribed", method.onSubscribed),
  onUnsubscribed: hook("on_unsubscribed", method.onUnsubscribed),
  onDisconnected: hook("on_disconnected", method.onDisconnected),
  onOccupied: hook("on_occupied", method.onOccupied),
  onVacated: hook("on_vacated", method.onVacated),
};

/**
 * Asks a backend, and resolves with its answer as it is.
 *
 * Rejects with a BackendFailure where there is none, and with a MessagingError where it has refused without an answer.
 */
export type Call = <I extends DescMessage, O extends DescMessage>(
  hook: Hook<I, O>,
  message: MessageShape<I>,
  cancellation: Cancellation,
) => Promise<MessageShape<O>>;

/** The path of a procedure in Connect and gRPC. */
export function pathOf({ procedure }: Hook): string {
  return `/${ProxyService.typeName}/${procedure}`;
}

/** Backends of which none is left out. */
export type EveryBackend = { readonly [name in keyof Backends]-?: NonNullable<Backends[name]> };

/** Backends that answer by a call of `ProxyService`. */
export function createBackends(call: Call): EveryBackend {
  return {
    async authenticate(request, cancellation) {
      const message = authenticateMessage(request);
      const { error, userInfo } = await call(HOOKS.authenticate, message, cancellation);
      refuseIf(error);
      return identityOf(userInfo);
    },
    async authorizeSubscribe(request, cancellation) {
      const { error } = await call(HOOKS.subscribeAcl, subscribeAclMessage(request), cancellation);
      refuseIf(error);
    },
    async rpc(request, cancellation): Promise<CloudEvent | undefined> {
      const { error, payload } = await call(HOOKS.rpc, rpcMessage(request), cancellation);
      refuseIf(error);
      return payload;
    },
  };
}

/** Values are looked at where all answers are: a backend that names no user there has authenticated none. */
function identityOf(userInfo: UserInfo | undefined): Identity {
  if (userInfo === undefined) return { userId: "" };
  const { id, clientVouched, tokenId, expiresAt, channels, capabilities } = userInfo;
  return {
    userId: id,
    ...(clientVouched ? { clientVouched } : {}),
    ...(tokenId === "" ? {} : { tokenId }),
    ...(expiresAt === 0n ? {} : { expiresAt: Number(expiresAt) }),
    ...(channels.length === 0 ? {} : { channels }),
    ...(capabilities === undefined ? {} : { grants: capabilities.grants.map(grantOf) }),
  };
}

function grantOf({ pattern, actions }: GrantMessage): Grant {
  return { pattern, actions: actions as Action[] };
}

/** What a backend states goes to the client; the taker of the answer checks its parts. */
function refuseIf(error: ErrorMessage | undefined): void {
  if (error === undefined) return;
  const { code, type, message, metadata } = error;
  throw new MessagingError(code, message, {
    ...(type === "" ? {} : { type }),
    ...(metadata === undefined ? {} : { metadata }),
  });
}

function authenticateMessage({
  token,
  clientId,
  clientType,
  version,
  sessionId,
  address,
}: AuthenticateRequest): MessageShape<typeof AuthenticateRequestSchema> {
  return create(AuthenticateRequestSchema, {
    username: clientId,
    password: token,
    clientType,
    clientId,
    sessionId,
    version,
    address,
  });
}

function subscribeAclMessage({
  channel,
  token,
  caller,
}: AuthorizeSubscribeRequest): MessageShape<typeof SubscribeAclRequestSchema> {
  return create(SubscribeAclRequestSchema, { channel, token, caller: callerMessage(caller) });
}

function rpcMessage({
  id,
  channel,
  method,
  payload,
  metadata,
  caller,
}: RpcRequest): MessageShape<typeof RPCRequestSchema> {
  return {
    $typeName: "messageloop.proxy.v1.RPCRequest",
    id,
    channel,
    method,
    payload,
    caller: callerMessage(caller),
    metadata: { ...metadata },
  };
}

function callerMessage({ sessionId, userId, clientId, clientType }: Caller): CallerMessage {
  return {
    $typeName: "messageloop.proxy.v1.Caller",
    sessionId,
    userId,
    clientId,
    clientType,
  };
}

function hook<I extends DescMessage, O extends DescMessage>(
  name: string,
  { name: procedure, input, output }: DescMethodUnary<I, O>,
  refusal?: readonly [code: ErrorCode, text: string],
): Hook<I, O> {
  return { name, procedure, input, output, refusal };
}
