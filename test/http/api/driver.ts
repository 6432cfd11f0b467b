/** The server API by every way there is: plain HTTP with JSON, and generated clients of each protocol. */
import { fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { APIService } from "../../../src/protocol/gen/messageloop/server/v1/api_pb.js";

export type Method = keyof typeof APIService.method;

/** What came of a call: the answer with proto names, or a code of Connect. */
export interface Outcome {
  readonly code: string | undefined;
  readonly message: string;
  readonly body: JsonObject;
}

export interface ApiDriver {
  readonly name: string;
  /** @param key undefined for none */
  call(method: Method, request: JsonObject, key: string | undefined): Promise<Outcome>;
}

/** POST with JSON, as curl does it. */
export function jsonDriver(url: string): ApiDriver {
  return {
    name: "JSON over HTTP",
    async call(method, request, key) {
      const answer = await fetch(`${url}/messageloop.server.v1.APIService/${pathOf(method)}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...authorization(key) },
        body: JSON.stringify(request),
      });
      const body = (await answer.json()) as JsonObject;
      if (answer.ok) return { code: undefined, message: "", body };
      return { code: `${body["code"]}`, message: `${body["message"]}`, body };
    },
  };
}

/** A month, as Connect and gRPC write it: a timer of the library for that would be over at once. */
const DEADLINE = { "Connect-Timeout-Ms": "2592000000", "Grpc-Timeout": "43200M" };

/** Each of its calls has a deadline in a month. */
export function clientDriver(name: string, transport: Transport): ApiDriver {
  const client = createClient(APIService, transport) as unknown as Record<
    string,
    (request: unknown, options: unknown) => Promise<never>
  >;
  return {
    name,
    async call(method, request, key) {
      const { input, output } = APIService.method[method];
      const message = fromJson(input, request);
      try {
        const answer = await client[method]?.(message, {
          headers: { ...DEADLINE, ...authorization(key) },
        });
        const body = toJson(output, answer as never, { useProtoFieldName: true }) as JsonObject;
        return { code: undefined, message: "", body };
      } catch (error) {
        const { code, rawMessage } = ConnectError.from(error);
        const name = (Code[code] ?? "").replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`);
        return { code: name.toLowerCase(), message: rawMessage, body: {} };
      }
    },
  };
}

function authorization(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { Authorization: `Bearer ${key}` };
}

function pathOf(method: Method): string {
  return APIService.method[method].name;
}
