/** Backends behind the messages of `ProxyService`, on whatever runs the test. */
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import type { Backends, Caller, Cancellation } from "../../src/engine/ports/backends.ts";
import { errorMessage, MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type AuthenticateRequest,
  AuthenticateRequestSchema,
  type AuthenticateResponse,
  AuthenticateResponseSchema,
  type Caller as CallerMessage,
  type RPCRequest,
  RPCRequestSchema,
  type RPCResponse,
  RPCResponseSchema,
  type SubscribeAclRequest,
  SubscribeAclRequestSchema,
  type SubscribeAclResponse,
  SubscribeAclResponseSchema,
} from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import type { Error as ErrorMessage } from "../../src/protocol/gen/messageloop/shared/v1/errors_pb.js";

interface Context {
  readonly signal: AbortSignal;
}

/** The procedures. What is thrown and is no refusal stays thrown. */
export function serviceOf(backends: Backends) {
  return {
    async rPC(request: RPCRequest, { signal }: Context): Promise<RPCResponse> {
      const { id, channel, method, payload = create(CloudEventSchema), metadata } = request;
      const asked = { id, channel, method, payload, metadata, caller: callerOf(request.caller) };
      const { value, error } = await stated(async () => await backends.rpc?.(asked, heard(signal)));
      return create(RPCResponseSchema, {
        ...(value === undefined ? {} : { payload: value }),
        ...(error === undefined ? {} : { error }),
      });
    },
    async authenticate(
      request: AuthenticateRequest,
      { signal }: Context,
    ): Promise<AuthenticateResponse> {
      const { password: token, clientId, clientType, version, sessionId, address } = request;
      const asked = { token, clientId, clientType, version, sessionId, address };
      const { value, error } = await stated(
        async () => await backends.authenticate?.(asked, heard(signal)),
      );
      return create(AuthenticateResponseSchema, {
        userInfo: {
          id: value?.userId ?? "",
          channels: [...(value?.channels ?? [])],
          clientVouched: value?.clientVouched ?? false,
        },
        ...(error === undefined ? {} : { error }),
      });
    },
    async subscribeAcl(
      request: SubscribeAclRequest,
      { signal }: Context,
    ): Promise<SubscribeAclResponse> {
      const { channel, token } = request;
      const asked = { channel, token, caller: callerOf(request.caller) };
      const { error } = await stated(
        async () => await backends.authorizeSubscribe?.(asked, heard(signal)),
      );
      return create(SubscribeAclResponseSchema, error === undefined ? {} : { error });
    },
  };
}

/** Answers one hook in protobuf JSON. What fails is a 500 that tells all about it. */
export async function answerJson(
  backends: Backends,
  hook: string,
  text: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const service = serviceOf(backends);
  const context = { signal };
  const json = JSON.parse(text) as JsonValue;
  try {
    switch (hook) {
      case "rpc": {
        const answer = await service.rPC(fromJson(RPCRequestSchema, json), context);
        return { status: 200, body: JSON.stringify(toJson(RPCResponseSchema, answer)) };
      }
      case "authenticate": {
        const answer = await service.authenticate(
          fromJson(AuthenticateRequestSchema, json),
          context,
        );
        return { status: 200, body: JSON.stringify(toJson(AuthenticateResponseSchema, answer)) };
      }
      case "subscribe_acl": {
        const answer = await service.subscribeAcl(
          fromJson(SubscribeAclRequestSchema, json),
          context,
        );
        return { status: 200, body: JSON.stringify(toJson(SubscribeAclResponseSchema, answer)) };
      }
      default:
        return { status: 404, body: "{}" };
    }
  } catch (error) {
    return { status: 500, body: JSON.stringify({ stack: String(error) }) };
  }
}

async function stated<T>(
  call: () => Promise<T>,
): Promise<{ readonly value?: T; readonly error?: ErrorMessage }> {
  try {
    return { value: await call() };
  } catch (error) {
    if (error instanceof MessagingError) return { error: errorMessage(error) };
    throw error;
  }
}

function callerOf(caller: CallerMessage | undefined): Caller {
  const { sessionId = "", clientId = "", clientType = "", userId = "" } = caller ?? {};
  return { sessionId, clientId, clientType, userId };
}

function heard(signal: AbortSignal): Cancellation {
  return {
    get cancelled() {
      return signal.aborted;
    },
    onCancel: (callback) => {
      if (signal.aborted) callback();
      else signal.addEventListener("abort", () => callback(), { once: true });
    },
  };
}
