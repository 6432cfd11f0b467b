/** Unary calls of the Connect protocol: `ProxyService` for backends that speak Connect, on every host. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BackendFailure } from "../../engine/ports/backends.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { mediaTypeOf } from "../../protocol/media-type.ts";
import { wellShaped } from "../../protocol/wire-shape.ts";
import { type Hook, pathOf } from "../service.ts";
import type { BackendResponse } from "./call.ts";
import { checkType, type Form, messageOf, objectIn, wrongType } from "./form.ts";
import { JSON_TYPE, jsonForm } from "./json.ts";

const PROTO_TYPE = "application/proto";

/** Codes of Connect and gRPC, as Connect writes them. */
const CODES: ReadonlySet<string> = new Set([
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
]);
/** Those that the protocol has for a status without an error of Connect. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  401: "unauthenticated",
  403: "permission_denied",
  404: "unimplemented",
  429: "unavailable",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** @param encoding of the messages */
export function connectForm(encoding: "proto" | "json"): Form {
  return {
    write(hook, message, timeoutMs) {
      const { contentType, body } =
        encoding === "json"
          ? jsonForm.write(hook, message, timeoutMs)
          : { contentType: PROTO_TYPE, body: toBinary(hook.input, message) };
      const headers = {
        "connect-protocol-version": "1",
        "connect-timeout-ms": `${Math.max(1, Math.ceil(timeoutMs))}`,
      };
      return { contentType, body, headers, path: pathOf(hook) };
    },
    read(hook, response) {
      if (response.status !== 200) throw failureOf(hook, codeOf(response));
      if (encoding === "proto") return decoded(hook, response);
      checkType(response, JSON_TYPE);
      return messageOf(hook.output, objectIn(response.body).value);
    },
  };
}

/**
 * What a code of Connect or gRPC means. The message beside it is not passed on.
 *
 * @param code as Connect writes it, such as `permission_denied`
 */
export function failureOf({ refusal }: Hook, code: string): BackendFailure | MessagingError {
  const refuses = code === "permission_denied" || code === "unauthenticated";
  if (refuses && refusal !== undefined) return new MessagingError(...refusal);
  const reason =
    code === "deadline_exceeded" ? "timeout" : code === "canceled" ? "cancelled" : "status";
  return new BackendFailure(reason, `code ${code}`);
}

function decoded<O extends DescMessage>(
  { output }: Hook<DescMessage, O>,
  { contentType, body }: BackendResponse,
): MessageShape<O> {
  if (mediaTypeOf(contentType).name !== PROTO_TYPE) throw wrongType(contentType, PROTO_TYPE);
  try {
    return fromBinary(output, wellShaped(output, body), { readUnknownFields: false });
  } catch {
    throw new BackendFailure("answer", `the body is no ${output.typeName}`);
  }
}

function codeOf({ status, contentType, body }: BackendResponse): string {
  if (mediaTypeOf(contentType).name === JSON_TYPE) {
    try {
      const { code } = objectIn(body).value;
      if (typeof code === "string" && CODES.has(code)) return code;
    } catch {
      // Then it is no error of Connect.
    }
  }
  return CODE_OF_STATUS[status] ?? "unknown";
}
