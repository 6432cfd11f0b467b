/** HTTP requests of exactly these bytes, for what no library would send. */
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawRequest {
  readonly method?: string;
  /** As it stands in the request line, a character for each byte. */
  readonly target: string;
  /** A character for each byte. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
  /** What is said of the body's length; default how long it is. */
  readonly length?: number;
}

const PATIENCE_MS = 40_000;

/** @param base such as `http://127.0.0.1:1234` */
export async function exchange(base: string, request: RawRequest): Promise<RawAnswer> {
  const { method = "POST", target, headers = [], body = "" } = request;
  const { hostname, port, host } = new URL(base);
  const bytes = Buffer.from(body as string);
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    "Connection: close",
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${request.length ?? bytes.length}`,
  ];
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.write(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]));
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (isWhole(Buffer.concat(chunks))) resolve();
    });
    // A server that has answered need not take what is left of the request.
    socket.on("error", (error) => (chunks.length > 0 ? resolve() : reject(error)));
    socket.on("end", () => resolve());
    socket.on("close", () => resolve());
  });
  socket.destroy();
  return parsed(Buffer.concat(chunks));
}

/** Whether an answer that says how long it is has come to its end, whatever becomes of the connection. */
function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf("\r\n\r\n");
  const length = /^content-length: *(\d+)\r?$/im.exec(
    answer.subarray(0, end).toString("latin1"),
  )?.[1];
  return end >= 0 && length !== undefined && answer.length >= end + 4 + Number(length);
}

function parsed(answer: Buffer): RawAnswer {
  const end = answer.indexOf("\r\n\r\n");
  const [first = "", ...lines] = answer.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const rest = answer.subarray(end + 4);
  const chunked = headers.get("transfer-encoding") === "chunked";
  return {
    status: Number(first.split(" ")[1]),
    headers,
    body: (chunked ? unchunked(rest) : rest).toString(),
  };
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.subarray(at, line).toString(), 16);
    if (!(length > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
}
