/** The forms in which a backend over HTTP is asked, and what all of them have in common. */
import { type DescMessage, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { errorText } from "../../engine/error-text.ts";
import { BackendFailure } from "../../engine/ports/backends.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type RPCResponse,
  RPCResponseSchema,
} from "../../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { checkJson } from "../../protocol/json-strict.ts";
import { nestsDeeper } from "../../protocol/json-text.ts";
import { mediaTypeOf } from "../../protocol/media-type.ts";
import { readCloudEvent } from "../../protocol/plain-json/gen/read.ts";
import type { Hook } from "../service.ts";
import type { BackendResponse } from "./call.ts";

/** How deep the JSON of an answer may nest: as deep as a client's, see the codec. */
const MAX_DEPTH = 52;

/** What is sent, beside what every form sends. */
export interface Written {
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Stands after the path of the backend's address. Default: nothing does. */
  readonly path?: string;
}

/** How messages of `ProxyService` are written into requests, and read out of answers. */
export interface Form {
  /** @param timeoutMs how long the backend has for its answer, in milliseconds */
  write<I extends DescMessage>(hook: Hook<I>, message: MessageShape<I>, timeoutMs: number): Written;
  /**
   * @throws BackendFailure for what is no answer
   * @throws MessagingError for a refusal without words of the backend's own
   */
  read<O extends DescMessage>(
    hook: Hook<DescMessage, O>,
    response: BackendResponse,
  ): MessageShape<O>;
}

/**
 * What any status but 200 is.
 *
 * @param refuses whether a status is a refusal where the hook knows one
 */
export function checkStatus(
  { refusal }: Hook,
  { status }: BackendResponse,
  refuses: (status: number) => boolean = (one) => one === 401 || one === 403,
): void {
  if (status === 200) return;
  if (refusal !== undefined && refuses(status)) throw new MessagingError(...refusal);
  throw new BackendFailure("status", `status ${status}`);
}

/** @throws BackendFailure for a body of another type, or of another charset than UTF-8 */
export function checkType({ contentType }: BackendResponse, expected: string): void {
  // As nearly every backend writes it.
  if (contentType === expected) return;
  const { name, text } = mediaTypeOf(contentType);
  if (name === expected && text) return;
  throw wrongType(contentType, expected);
}

/** @param contentType of the answer, of which the log has at most 100 characters */
export function wrongType(contentType: string, expected: string): BackendFailure {
  const what = contentType === "" ? "no content type" : contentType.slice(0, 100);
  return new BackendFailure("answer", `${what} where ${expected} is expected`);
}

/** An object of JSON, with nothing known yet of what is in it. */
export type AnswerObject = { [name: string]: JsonValue };

/**
 * The object that a body is.
 *
 * @throws BackendFailure for anything else. Nothing of the body stands in its text.
 */
export function objectIn(body: Uint8Array): {
  readonly text: string;
  readonly value: AnswerObject;
} {
  if (body.length === 0) throw new BackendFailure("answer", "the body is empty");
  const text = textIn(body);
  if (nestsDeeper(text, MAX_DEPTH)) throw new BackendFailure("answer", "the body nests too deep");
  const value = parsed(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BackendFailure("answer", "the body is no JSON object");
  }
  return { text, value };
}

/**
 * A message out of its protobuf JSON, in either spelling of its fields. What is unknown is not looked at.
 *
 * @throws BackendFailure `field`, which names the field that is not of its type
 */
export function messageOf<O extends DescMessage>(schema: O, value: AnswerObject): MessageShape<O> {
  const plain = schema.typeName === RPCResponseSchema.typeName ? plainResponse(value) : undefined;
  return plain === undefined ? readMessage(schema, value) : (plain as MessageShape<O>);
}

/** An answer to an RPC that is its payload alone, as nearly all are, without the runtime's walk over the schema. */
function plainResponse(answer: AnswerObject): MessageShape<DescMessage> | undefined {
  for (const name of Object.keys(answer)) if (name !== "payload") return undefined;
  const payload = readCloudEvent(answer["payload"]);
  if (payload === undefined) return undefined;
  const response: RPCResponse = { $typeName: "messageloop.proxy.v1.RPCResponse", id: "", payload };
  return response;
}

function readMessage<O extends DescMessage>(schema: O, value: AnswerObject): MessageShape<O> {
  try {
    checkJson(schema, value);
  } catch (error) {
    // These words quote nothing.
    throw new BackendFailure("field", `${schema.typeName}: ${errorText(error)}`);
  }
  try {
    return fromJson(schema, value, { ignoreUnknownFields: true, recursionLimit: MAX_DEPTH });
  } catch (error) {
    throw new BackendFailure(
      "field",
      `${fieldOf(error) ?? schema.typeName} is not what it has to be`,
    );
  }
}

function textIn(body: Uint8Array): string {
  try {
    return getTextEncoding().decodeUtf8(body, true);
  } catch {
    throw new BackendFailure("answer", "the body is not UTF-8");
  }
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // The parser's own words quote the body.
    throw new BackendFailure("answer", "the body is no JSON");
  }
}

/** Which field the runtime speaks of; the rest of its words quotes values. */
function fieldOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { cause } = error;
  if (isFieldError(cause)) {
    const field = cause.field();
    return `${field.parent.typeName}.${field.name}`;
  }
  return /^cannot decode (?:message|field) ([\w.]+)/.exec(error.message)?.[1];
}
