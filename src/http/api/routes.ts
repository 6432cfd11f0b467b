/**
 * The server API as routes of the Connect library, which speaks Connect, gRPC and gRPC-Web. The same on every
 * host: what a call does is done by an engine.
 */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  type ContextKey,
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Engine } from "../../engine/engine.ts";
import { encode, type Frame } from "../../protocol/codec.ts";
import { MAX_API_REQUEST_BYTES } from "../../protocol/limits.ts";
import { outspoken } from "../call-type.ts";
import type { KeyPeer, Principal } from "../keys/keys.ts";
import { type Form, OPAQUE, TEXT, TEXT_OPTIONS } from "../streaming/forms.ts";
import { opaque } from "../streaming/opaque.ts";
import { byContentType, lastHandler, unary } from "../streaming/service.ts";
import { cancellationOf } from "./context.ts";
import { decodeRequest } from "./request.ts";
import type { ApiMethod, ApiService } from "./service.ts";

export interface ApiRoutesOptions {
  readonly service: ApiService;
  /** The engine that a call is for. */
  readonly engine: (values: ContextValues) => Engine;
  /** Run around each call, after its request has been read. Default none. */
  readonly interceptors?: readonly Interceptor[];
}

/** The other end, as the host knows it: the host sets it for each call. */
export const KEY_PEER: ContextKey<KeyPeer> = createContextKey<KeyPeer>({ address: "" });

/** The caller: found before its body is read. */
const PRINCIPAL = createContextKey<Principal | undefined>(undefined);

/**
 * Serves APIService. The host sets `KEY_PEER` among the values of each call.
 *
 * @example
 * connectNodeAdapter({ routes: apiRoutes({ service, engine: () => engine }), contextValues });
 */
export function apiRoutes(options: ApiRoutesOptions): (router: ConnectRouter) => void {
  const { service } = options;
  return (router) => {
    const handlers = service.methods.map((method) => {
      const [bytes, text] = [
        calling(router, options, method, OPAQUE),
        calling(router, options, method, TEXT),
      ];
      const refused = (error: ConnectError): void => service.ended(method, error);
      const calls = opaque(byContentType(bytes, text), MAX_API_REQUEST_BYTES, refused);
      return outspoken(unary(calls), WORDS);
    });
    router.handlers.push(...handlers);
  };
}

/** The handler of a method for one encoding. */
function calling<In extends DescMessage, Out extends DescMessage>(
  router: ConnectRouter,
  options: ApiRoutesOptions,
  method: ApiMethod,
  form: Form<In, Out>,
): UniversalHandler {
  const { service, interceptors = [] } = options;
  const { desc } = method;
  const unread: DescMethodUnary<In, Out> = { ...desc, input: form.input, output: form.output };
  async function call(input: MessageShape<In>, context: HandlerContext) {
    return form.write(await answered(options, method, form, form.read(input), context));
  }
  const handler = router.rpc(unread, call, {
    jsonOptions: TEXT_OPTIONS,
    // Answers are short, or wanted at once.
    acceptCompression: [],
    requestGate: async ({ requestHeader, values }) => {
      const authorization = requestHeader.get("authorization");
      try {
        values.set(PRINCIPAL, await service.admit(method, authorization, values.get(KEY_PEER)));
      } catch (error) {
        service.ended(method, ConnectError.from(error));
        throw error;
      }
    },
    interceptors: [...interceptors],
  });
  return lastHandler(handler);
}

/** @throws ConnectError */
async function answered(
  { service, engine }: ApiRoutesOptions,
  method: ApiMethod,
  { encoding }: Pick<Form<DescMessage>, "encoding">,
  frame: Frame,
  { values, signal }: HandlerContext,
): Promise<Frame> {
  const principal = values.get(PRINCIPAL);
  if (principal === undefined) throw new Error("nobody has looked at the key");
  try {
    const { input, output } = method.desc;
    const request = decodeRequest(input, encoding, frame);
    const cancellation = cancellationOf(signal);
    const call = { engine: engine(values), principal, encoding, cancellation };
    const answer = await service.answer(method, call, request);
    const encoded = encode(output, encoding, create(output, answer as never));
    service.ended(method);
    return encoded;
  } catch (error) {
    const told = service.told(method, error);
    service.ended(method, told);
    throw told;
  }
}

/** What the library says of a call that is none, in words of ours. */
const WORDS = {
  method: "calls of the API are POST",
  type: "the content type is neither application/json nor application/proto, nor one of gRPC",
};
