/** Errors of calls between threads, with the fields that `objects/ports/calls.ts` names. */

/** An error that the called object threw, as its caller gets it. */
export function remoteError(error: unknown): Error {
  const { message, code, overloaded } = stated(error);
  const fields = { ...(code === undefined ? {} : { code }), ...(overloaded ? { overloaded } : {}) };
  return Object.assign(new Error(message), { remote: true, ...fields });
}

export function encodeError(error: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(stated(error)));
}

export function decodeError(body: Uint8Array): Error {
  return remoteError(JSON.parse(new TextDecoder().decode(body)));
}

/** The thread at the other side is no more: whether the call was carried out is not known. */
export function threadEnded(): Error {
  return Object.assign(new Error("the thread has ended"), { retryable: true });
}

/** More waits for the thread than may: nothing was sent. */
export function overloaded(): Error {
  return Object.assign(new Error("too much waits for the thread"), { overloaded: true });
}

interface Stated {
  readonly message: string;
  readonly code?: string;
  readonly overloaded?: boolean;
}

function stated(error: unknown): Stated {
  const { message, code, overloaded } = (error ?? {}) as Partial<Record<keyof Stated, unknown>>;
  return {
    message: typeof message === "string" ? message : String(error),
    ...(typeof code === "string" ? { code } : {}),
    ...(overloaded === true ? { overloaded } : {}),
  };
}
