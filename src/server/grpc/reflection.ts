/** grpc.reflection.v1: the descriptors of what a listener serves, for tools such as grpcurl. */
import {
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../protocol/gen/grpc/reflection/v1/reflection_pb.js";
import { LINE } from "../transport/streams/lines.ts";

/** Calls that may be open at the same time, and how long one may be, in milliseconds: tools ask and go. */
const MAX_CALLS = 100;
const LONGEST_MS = 60_000;
/** Bytes of one question. */
const MAX_QUESTION_BYTES = 4_096;

type Response = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

export class ReflectionService {
  readonly #services: readonly string[];
  /** Files by their names, and by the full names of what is in them. */
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  #calls = 0;

  /** @param services those that there are; it is one of them itself */
  constructor(services: readonly DescService[]) {
    const all = [...services, ServerReflection];
    this.#services = all.map(({ typeName }) => typeName);
    for (const { file } of all) this.#addFile(file);
  }

  readonly routes = (router: ConnectRouter): void => {
    router.service(
      ServerReflection,
      { serverReflectionInfo: (requests, context) => this.#answers(requests, context) },
      { readMaxBytes: MAX_QUESTION_BYTES },
    );
  };

  async *#answers(
    requests: AsyncIterable<ServerReflectionRequest>,
    { values }: HandlerContext,
  ): AsyncIterable<MessageInitShape<typeof ServerReflectionResponseSchema>> {
    if (this.#calls >= MAX_CALLS) {
      throw new ConnectError("too many calls ask", Code.ResourceExhausted);
    }
    const line = values.get(LINE);
    this.#calls += 1;
    line.serve(() => {});
    const late = setTimeout(() => line.letGo(false), LONGEST_MS).unref();
    try {
      for await (const originalRequest of requests) {
        const { host: validHost, messageRequest } = originalRequest;
        yield { validHost, originalRequest, messageResponse: this.#answer(messageRequest) };
      }
    } finally {
      this.#calls -= 1;
      clearTimeout(late);
      line.letGo(false);
    }
  }

  #answer(request: ServerReflectionRequest["messageRequest"]): Response {
    switch (request.case) {
      case "listServices": {
        const service = this.#services.map((name) => ({ name }));
        return { case: "listServicesResponse", value: { service } };
      }
      case "fileByFilename":
        return filesOf(this.#files.get(request.value)) ?? refusal(Code.NotFound, "file");
      case "fileContainingSymbol":
        return filesOf(this.#symbols.get(request.value)) ?? refusal(Code.NotFound, "symbol");
      case "fileContainingExtension":
        return refusal(Code.NotFound, "extension");
      case "allExtensionNumbersOfType": {
        // Nothing here has extensions.
        const baseTypeName = request.value;
        if (!this.#symbols.has(baseTypeName)) return refusal(Code.NotFound, "type");
        return { case: "allExtensionNumbersResponse", value: { baseTypeName } };
      }
      default:
        return {
          case: "errorResponse",
          value: { errorCode: Code.InvalidArgument, errorMessage: "nothing is asked" },
        };
    }
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const message of file.messages) this.#addMessage(message, file);
    for (const { typeName } of file.enums) this.#symbols.set(typeName, file);
    for (const { typeName, methods } of file.services) {
      this.#symbols.set(typeName, file);
      for (const { name } of methods) this.#symbols.set(`${typeName}.${name}`, file);
    }
    for (const needed of file.dependencies) this.#addFile(needed);
  }

  #addMessage(message: DescMessage, file: DescFile): void {
    const { typeName, fields, nestedEnums, nestedMessages } = message;
    this.#symbols.set(typeName, file);
    for (const { name } of fields) this.#symbols.set(`${typeName}.${name}`, file);
    for (const { typeName: name } of nestedEnums) this.#symbols.set(name, file);
    for (const nested of nestedMessages) this.#addMessage(nested, file);
  }
}

/** A file and all that it needs, each once, those first that others need. */
function filesOf(file: DescFile | undefined): Response | undefined {
  if (file === undefined) return undefined;
  const all = new Set<DescFile>();
  const add = (one: DescFile): void => {
    for (const needed of one.dependencies) add(needed);
    all.add(one);
  };
  add(file);
  // The file that was asked for stands first.
  const inOrder = [...all].toReversed();
  const fileDescriptorProto = inOrder.map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function refusal(errorCode: Code, what: string): Response {
  return {
    case: "errorResponse",
    value: { errorCode, errorMessage: `there is no such ${what}` },
  };
}
