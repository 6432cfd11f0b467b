/**
 * Calls of the server API by the unary protocol of Connect, which is plain HTTP, without the library: it makes
 * a dozen objects for each call, and reads JSON twice. All that is not of the plain kind is for its routes.
 */
import { create, type DescMessage } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import type { Engine } from "../../engine/engine.ts";
import type { Cancellation } from "../../engine/ports/backends.ts";
import { type Encoding, encode } from "../../protocol/codec.ts";
import { plainEncodingOf } from "../call-type.ts";
import type { KeyPeer } from "../keys/keys.ts";
import { callStatusOf } from "../statuses.ts";
import { decodeRequest } from "./request.ts";
import type { ApiMethod, ApiService } from "./service.ts";

/** The head of a request, as far as it matters here. */
export interface UnaryHead {
  /** Of the URL, without a query. */
  readonly path: string;
  readonly method: string;
  header(name: string): string | undefined;
}

export interface UnaryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What only the library knows how to do. */
const SPECIAL = ["connect-timeout-ms", "content-encoding"];

export class UnaryApi {
  readonly #service: ApiService;
  readonly #methods: ReadonlyMap<string, ApiMethod>;

  constructor(service: ApiService) {
    this.#service = service;
    this.#methods = new Map(
      service.methods.map((method) => [
        `/${method.desc.parent.typeName}/${method.desc.name}`,
        method,
      ]),
    );
  }

  /** The call that a request makes, where it is one of the plain kind. */
  find(head: UnaryHead): PlainCall | undefined {
    const method = this.#methods.get(head.path);
    if (method === undefined || head.method !== "POST") return undefined;
    const encoding = plainEncodingOf(head.header("content-type") ?? "");
    if (encoding === undefined) return undefined;
    if (SPECIAL.some((name) => head.header(name) !== undefined)) return undefined;
    return new PlainCall(this.#service, method, encoding, head);
  }
}

export class PlainCall {
  readonly #service: ApiService;
  readonly #method: ApiMethod;
  readonly #encoding: Encoding;
  readonly #head: UnaryHead;

  constructor(service: ApiService, method: ApiMethod, encoding: Encoding, head: UnaryHead) {
    this.#service = service;
    this.#method = method;
    this.#encoding = encoding;
    this.#head = head;
  }

  /**
   * Answers it. Never rejects.
   *
   * @param read reads the body, once the caller is known; it rejects for one that cannot be had
   * @param cancellation says when the caller waits for the answer no more
   */
  async answer(
    peer: KeyPeer,
    engine: Engine,
    read: () => Promise<Uint8Array>,
    cancellation: Cancellation,
  ): Promise<UnaryAnswer> {
    try {
      const authorization = this.#head.header("authorization");
      const principal = await this.#service.admit(this.#method, authorization, peer);
      const request = decodeRequest(this.#method.desc.input, this.#encoding, await read());
      const call = { engine, principal, encoding: this.#encoding, cancellation };
      const answer = this.#written(await this.#service.answer(this.#method, call, request));
      this.#service.ended(this.#method);
      return answer;
    } catch (error) {
      const told = this.#service.told(this.#method, error);
      this.#service.ended(this.#method, told);
      return refusalOf(told);
    }
  }

  #written(init: Record<string, unknown>): UnaryAnswer {
    const output: DescMessage = this.#method.desc.output;
    const encoding = this.#encoding;
    return {
      status: 200,
      headers: { "Content-Type": `application/${encoding}` },
      body: encode(output, encoding, create(output, init as never)),
    };
  }
}

function refusalOf(error: ConnectError): UnaryAnswer {
  return {
    status: callStatusOf(error),
    headers: { ...Object.fromEntries(error.metadata), "Content-Type": "application/json" },
    body: JSON.stringify(errorToJson(error, { useProtoFieldName: true })),
  };
}
