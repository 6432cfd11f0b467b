/**
 * The ConformanceService of connectrpc's conformance suite, for whichever host: a request says how it is to be
 * answered. Its types come from the suite's own descriptors, so that nothing is generated for it.
 */
import {
  createFileRegistry,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type FileRegistry,
  fromBinary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { lastHandler, streamed, timeoutOf, unary } from "../../../src/http/streaming/service.ts";

const SERVICE = "connectrpc.conformance.v1.ConformanceService";
const REQUEST_INFO = "connectrpc.conformance.v1.ConformancePayload.RequestInfo";

export interface ConformanceOptions {
  /** What the suite's protos are, as a `google.protobuf.FileDescriptorSet`. */
  readonly descriptors: Uint8Array;
  /** Bytes of a message; 0 for the library's own limit. */
  readonly readMaxBytes: number;
  /** Loses the trailers: the fault that is built in. */
  readonly plant: boolean;
}

/** A program that serves it. */
export interface Serving {
  readonly port: number;
  stop(): Promise<void>;
}

/** A header or trailer. */
interface Field {
  readonly name: string;
  readonly value: readonly string[];
}

interface Failure {
  readonly code: Code;
  readonly message?: string;
  readonly details: readonly Any[];
}

/** How a call is to be answered. */
interface Definition {
  readonly responseHeaders: readonly Field[];
  readonly responseTrailers: readonly Field[];
  readonly responseDelayMs: number;
}

interface UnaryDefinition extends Definition {
  readonly response:
    | { readonly case: "responseData"; readonly value: Uint8Array }
    | { readonly case: "error"; readonly value: Failure }
    | { readonly case: undefined };
}

interface StreamDefinition extends Definition {
  readonly responseData: readonly Uint8Array[];
  readonly error?: Failure;
}

interface UnaryRequest extends Message {
  readonly responseDefinition?: UnaryDefinition;
}

interface StreamRequest extends Message {
  readonly responseDefinition?: StreamDefinition;
  readonly fullDuplex?: boolean;
}

/** A message to be made by the library, which knows its type. */
type Init = MessageInitShape<DescMessage>;

/** Serves the ConformanceService, its calls wrapped as those of our services are. */
export function conformanceRoutes(options: ConformanceOptions): (router: ConnectRouter) => void {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, options.descriptors));
  const service = registry.getService(SERVICE);
  if (service === undefined) throw new Error(`the descriptors are without ${SERVICE}`);
  const { method } = service;
  const answers = new Answers(registry, options.plant);
  const { readMaxBytes } = options;
  const rules = {
    // As our own services: nothing is compressed.
    acceptCompression: [],
    jsonOptions: { registry },
    ...(readMaxBytes > 0 ? { readMaxBytes } : {}),
  };
  return (router) => {
    for (const name of ["unary", "idempotentUnary"]) {
      router.rpc(
        methodOf<DescMethodUnary>(service, name),
        (request, context) => answers.one(context, [request as UnaryRequest]),
        rules,
      );
      router.handlers.push(unary(lastHandler(router)));
    }
    router.rpc(
      methodOf<DescMethodClientStreaming>(service, "clientStream"),
      async (requests, context) => await first(inTime(context, answers.joined(context, requests))),
      rules,
    );
    router.handlers.push(streamed(lastHandler(router)));
    router.rpc(
      methodOf<DescMethodServerStreaming>(service, "serverStream"),
      (request, context) => inTime(context, answers.several(context, [request as StreamRequest])),
      rules,
    );
    router.handlers.push(streamed(lastHandler(router)));
    router.rpc(
      methodOf<DescMethodBiDiStreaming>(service, "bidiStream"),
      (requests, context) =>
        inTime(context, answers.both(context, requests as AsyncIterable<StreamRequest>)),
      rules,
    );
    router.handlers.push(streamed(lastHandler(router)));
    router.rpc(
      methodOf<DescMethodUnary>(service, "unimplemented"),
      () => {
        throw new ConnectError(`${method["unimplemented"]?.name} is not there`, Code.Unimplemented);
      },
      rules,
    );
  };
}

function methodOf<Method>({ method }: DescService, name: string): Method {
  const found = method[name];
  if (found === undefined) throw new Error(`the service has no ${name}`);
  return found as Method;
}

class Answers {
  readonly #registry: FileRegistry;
  readonly #plant: boolean;
  readonly #requestInfo: DescMessage;

  constructor(registry: FileRegistry, plant: boolean) {
    const requestInfo = registry.getMessage(REQUEST_INFO);
    if (requestInfo === undefined) throw new Error(`the descriptors are without ${REQUEST_INFO}`);
    this.#registry = registry;
    this.#plant = plant;
    this.#requestInfo = requestInfo;
  }

  /** The one answer to all that the client has sent. */
  async one(context: HandlerContext, requests: readonly Message[]): Promise<Init> {
    const { responseDefinition: definition } = (requests[0] ?? {}) as Partial<UnaryRequest>;
    const requestInfo = this.#infoOf(context, requests);
    if (definition === undefined) return { payload: { requestInfo } };
    this.#fields(context, definition);
    await pause(definition.responseDelayMs);
    const { response } = definition;
    if (response.case === "error") throw this.#failure(response.value, requestInfo);
    const data = response.case === "responseData" ? { data: response.value } : {};
    return { payload: { requestInfo, ...data } };
  }

  /** The same for a stream of requests. */
  async *joined(context: HandlerContext, requests: AsyncIterable<Message>): AsyncGenerator<Init> {
    yield await this.one(context, await all(requests));
  }

  /** Answers that follow each other, the first with all that the client has sent. */
  async *several(
    context: HandlerContext,
    requests: readonly StreamRequest[],
  ): AsyncGenerator<Init> {
    const definition = requests[0]?.responseDefinition;
    if (definition === undefined) return;
    this.#fields(context, definition);
    let requestInfo: Init | undefined = this.#infoOf(context, requests);
    for (const data of definition.responseData) {
      await pause(definition.responseDelayMs);
      yield { payload: { data, ...(requestInfo === undefined ? {} : { requestInfo }) } };
      requestInfo = undefined;
    }
    if (definition.error !== undefined) throw this.#failure(definition.error, requestInfo);
  }

  async *both(
    context: HandlerContext,
    requests: AsyncIterable<StreamRequest>,
  ): AsyncGenerator<Init> {
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    if (first.done === true) return;
    if (first.value.fullDuplex !== true) {
      const rest = await all({ [Symbol.asyncIterator]: () => incoming });
      yield* this.several(context, [first.value, ...(rest as StreamRequest[])]);
      return;
    }
    const { responseDefinition: definition } = first.value;
    if (definition === undefined) return;
    this.#fields(context, definition);
    const { error, responseData, responseDelayMs } = definition;
    let sent = 0;
    let next: IteratorResult<StreamRequest> = first;
    for (; next.done !== true; next = await incoming.next()) {
      const requestInfo =
        sent === 0 ? this.#infoOf(context, [next.value]) : { requests: [this.#packed(next.value)] };
      const data = responseData[sent];
      if (data === undefined) {
        if (error !== undefined) throw this.#failure(error, sent === 0 ? requestInfo : undefined);
        return;
      }
      await pause(responseDelayMs);
      yield { payload: { data, requestInfo } };
      sent += 1;
    }
    // What is left when the client has ended its half.
    for (const data of responseData.slice(sent)) {
      await pause(responseDelayMs);
      yield { payload: { data } };
      sent += 1;
    }
    if (error !== undefined) {
      throw this.#failure(error, sent === 0 ? this.#infoOf(context, []) : undefined);
    }
  }

  /** What has come of a call. */
  #infoOf(context: HandlerContext, requests: readonly Message[]): Init {
    const timeoutMs = timeoutOf(context) ?? context.timeoutMs();
    const query = [...new URL(context.url).searchParams].map(([name, value]) => ({
      name,
      value: [value],
    }));
    return {
      requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
      requests: requests.map((request) => this.#packed(request)),
      ...(timeoutMs === undefined ? {} : { timeoutMs: BigInt(Math.round(timeoutMs)) }),
      ...(context.requestMethod === "GET" ? { connectGetInfo: { queryParams: query } } : {}),
    } as Init;
  }

  #packed(request: Message): Any {
    const schema = this.#registry.getMessage(request.$typeName);
    if (schema === undefined) throw new Error(`the descriptors are without ${request.$typeName}`);
    return anyPack(schema, request);
  }

  #fields(context: HandlerContext, definition: Definition): void {
    append(context.responseHeader, definition.responseHeaders);
    if (!this.#plant) append(context.responseTrailer, definition.responseTrailers);
  }

  /** @param requestInfo goes into the answer where no other message carries it */
  #failure({ code, message = "", details }: Failure, requestInfo: Init | undefined): ConnectError {
    const given = details.map((detail) => {
      const value = anyUnpack(detail, this.#registry);
      const desc = value && this.#registry.getMessage(value.$typeName);
      if (desc === undefined) throw new Error(`nobody knows ${detail.typeUrl}`);
      return { desc, value: value as Init };
    });
    const info = requestInfo === undefined ? [] : [{ desc: this.#requestInfo, value: requestInfo }];
    return new ConnectError(message, code, undefined, [...given, ...info]);
  }
}

function append(to: Headers, fields: readonly Field[]): void {
  for (const { name, value } of fields) {
    for (const one of value) to.append(name, one);
  }
}

async function all(requests: AsyncIterable<Message>): Promise<Message[]> {
  const received: Message[] = [];
  for await (const request of requests) received.push(request);
  return received;
}

async function first<Value>(values: AsyncIterable<Value>): Promise<Value> {
  for await (const value of values) return value;
  throw new Error("there is no answer");
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Ends a stream in time, as our hosts do: the deadline never reaches the library. */
async function* inTime<Value>(
  context: HandlerContext,
  values: AsyncIterator<Value>,
): AsyncGenerator<Value> {
  const ms = timeoutOf(context);
  const late = Promise.withResolvers<never>();
  // The race that it ends may be over by then.
  late.promise.catch(() => {});
  const passed = (): void =>
    late.reject(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  const timer = ms === undefined ? undefined : setTimeout(passed, ms);
  try {
    for (;;) {
      const { done, value } = await Promise.race([values.next(), late.promise]);
      if (done === true) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
  }
}
