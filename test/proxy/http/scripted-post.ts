/** A backend over HTTP whose answers the test writes, and what it was sent. */
import type { Cancellation } from "../../../src/engine/ports/backends.ts";
import type { BackendRequest, BackendResponse, Post } from "../../../src/proxy/http/call.ts";

/** Nobody cancels. */
export const NEVER: Cancellation = { cancelled: false, onCancel: () => {} };

export interface ScriptedPost {
  readonly post: Post;
  readonly requests: BackendRequest[];
}

/** @param answer makes the answer to each request, or throws */
export function scriptedPost(answer: (request: BackendRequest) => BackendResponse): ScriptedPost {
  const requests: BackendRequest[] = [];
  const post: Post = async (request) => {
    requests.push(request);
    return answer(request);
  };
  return { post, requests };
}

/** An answer whose body is a text, or bytes. */
export function answerOf(
  body: string | Uint8Array,
  contentType = "application/json",
  status = 200,
): BackendResponse {
  return { status, contentType, body: typeof body === "string" ? Buffer.from(body) : body };
}

export function jsonAnswer(value: unknown, status = 200): BackendResponse {
  return answerOf(JSON.stringify(value), "application/json", status);
}

export function textOf({ body }: { readonly body: Uint8Array }): string {
  return Buffer.from(body).toString("utf8");
}
