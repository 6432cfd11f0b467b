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
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalHandlerFn,
} from "@connectrpc/connect/protocol";
import type { Engine } from "../../engine/engine.ts";
import { encode, type Frame } from "../../protocol/codec.ts";
import { MAX_API_REQUEST_BYTES } from "../../protocol/limits.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import type { Principal } from "../keys/keys.ts";
import { withoutEndlessDeadline } from "../streaming/deadline.ts";
import { type Form, OPAQUE, TEXT, TEXT_OPTIONS } from "../streaming/forms.ts";
import { opaque } from "../streaming/opaque.ts";
import { byContentType, lastHandler } from "../streaming/service.ts";
import { cancellationOf, KEY_PEER } from "./context.ts";
import { decodeRequest } from "./request.ts";
import type { ApiMethod, ApiService } from "./service.ts";

export interface ApiRoutesOptions {
  readonly service: ApiService;
  /** The engine that a call is for. */
  readonly engine: (values: ContextValues) => Engine;
  /** Run around each call, after its request has been read. Default none. */
  readonly interceptors?: readonly Interceptor[];
}

/** Who has made the call: found before its body is read. */
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
      return withOwnRefusals(opaque(byContentType(bytes, text), MAX_API_REQUEST_BYTES, refused));
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

/** A handler of the library, whose refusals of what is no call of its own say what is wrong, in our form. */
function withOwnRefusals(handler: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    const answer = await handler({ ...request, header: withoutEndlessDeadline(request.header) });
    const refusal = REFUSALS.get(answer.status);
    if (refusal === undefined || answer.body !== undefined) return answer;
    const { code, message, ...header } = refusal;
    return {
      ...answer,
      header: new Headers({ "content-type": "application/json; charset=utf-8", ...header }),
      body: createAsyncIterable([utf8Encode(JSON.stringify({ code, message }))]),
    };
  };
  return Object.assign(handle, { ...handler });
}

const REFUSALS: ReadonlyMap<number, Readonly<Record<string, string>>> = new Map([
  [405, { code: "BAD_REQUEST", message: "calls of the API are POST", allow: "POST" }],
  [
    415,
    {
      code: "UNSUPPORTED_TYPE",
      message:
        "the content type is neither application/json nor application/proto, nor one of gRPC",
    },
  ],
]);
