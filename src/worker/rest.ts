/**
 * Answers that end after what their clients still send. The runtime closes a connection whose answer has ended before
 * its request, and the answer is lost on its way.
 */
import { discardRest, type KeepAlive } from "../http/body.ts";

/** Status of an answer that cannot have a body, not even an empty one. */
const NO_CONTENT = 204;

/** What is left of the body of one request. */
export class RequestRest {
  readonly #request: Request;
  readonly #ctx: Pick<ExecutionContext, "waitUntil">;
  readonly #works: Promise<void>[] = [];

  constructor(request: Request, ctx: Pick<ExecutionContext, "waitUntil">) {
    this.#request = request;
    this.#ctx = ctx;
  }

  /** For a door that gives up a body that it has begun to read. */
  readonly keepAlive: KeepAlive = (work) => {
    this.#works.push(work);
  };

  /** The answer, all of which is on its way at once. It ends when nothing more of the request is to be taken. */
  async behind(answer: Response): Promise<Response> {
    const { body } = this.#request;
    // No door has begun to read it.
    if (body !== null && !body.locked) this.keepAlive(discardRest(body.getReader()));
    if (this.#works.length === 0) return answer;
    const taken = Promise.all(this.#works);
    // Also where the client does not take the answer.
    this.#ctx.waitUntil(taken);
    if (answer.status === NO_CONTENT) {
      await taken;
      return answer;
    }
    const held = new Response(bytesBehind(answer.body, taken), answer);
    // It would be the end.
    held.headers.delete("Content-Length");
    return held;
  }
}

function bytesBehind(
  body: ReadableStream<Uint8Array> | null,
  taken: Promise<unknown>,
): ReadableStream<Uint8Array> {
  const reader = body?.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await reader?.read();
      if (next !== undefined && !next.done) {
        controller.enqueue(next.value);
        return;
      }
      await taken;
      controller.close();
    },
    cancel: (reason) => reader?.cancel(reason),
  });
}
