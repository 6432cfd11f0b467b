/**
 * Deadlines that clients set for a call. Those of streams are kept by the host and not by the library, whose timer of
 * more than 24 days fires at once; for the same reason it does not get one that long in any other call.
 */

/** The longest that a timer can wait, in milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const GRPC_UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/**
 * Takes the deadline out of a call's headers.
 *
 * @returns the headers without it and how long the call may take, in milliseconds; headers that say
 *   nothing, or nothing that can be read, which is the library's to refuse, are returned as they are
 */
export function takeDeadline(header: Headers): { header: Headers; timeoutMs: number | undefined } {
  const grpc = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "");
  const connect = /^\d{1,10}$/.exec(header.get("connect-timeout-ms") ?? "");
  if (grpc === null && connect === null) return { header, timeoutMs: undefined };
  const rest = new Headers(header);
  if (grpc !== null) rest.delete("grpc-timeout");
  if (connect !== null) rest.delete("connect-timeout-ms");
  // A call has one of them; its protocol decides which means anything.
  const isGrpc = /^application\/grpc/i.test(header.get("content-type") ?? "");
  const grpcMs = grpc === null ? undefined : Number(grpc[1]) * (GRPC_UNITS[grpc[2] ?? ""] ?? 0);
  const connectMs = connect === null ? undefined : Number(connect[0]);
  return { header: rest, timeoutMs: isGrpc ? grpcMs : connectMs };
}

/** The headers of a call that is no stream, without a deadline that is none for people. */
export function withoutEndlessDeadline(header: Headers): Headers {
  const { header: rest, timeoutMs = 0 } = takeDeadline(header);
  return timeoutMs > MAX_TIMER_MS ? rest : header;
}
