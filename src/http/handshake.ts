/** Whether a request on the WebSocket path is an upgrade that we take. Every host asks here. */

/** A request as far as it matters here. */
export interface HandshakeRequest {
  readonly method: string;
  header(name: string): string | null;
}

export interface HandshakeRules {
  /**
   * Origins beside the server's own host that a browser's page may come from, such as
   * `https://app.example`; `*` allows all. Default none.
   */
  readonly allowedOrigins?: readonly string[];
}

export interface HandshakeProblem {
  readonly status: 400 | 403 | 405;
  readonly text: string;
}

/** What v0.1.1 answers to a request on the WebSocket path that is no upgrade it takes. */
export function handshakeProblem(
  request: HandshakeRequest,
  rules: HandshakeRules = {},
): HandshakeProblem | undefined {
  if (request.method !== "GET") return { status: 405, text: "Method Not Allowed" };
  const upgrades =
    names(request.header("Connection"), "upgrade") && names(request.header("Upgrade"), "websocket");
  const valid =
    upgrades &&
    request.header("Sec-WebSocket-Version") === "13" &&
    isKey(request.header("Sec-WebSocket-Key"));
  if (!valid) return { status: 400, text: "Bad Request" };
  if (!allowsOrigin(request, rules)) return { status: 403, text: "Forbidden" };
  return undefined;
}

/** Without an Origin the client is no browser; with one its host must be ours, or be allowed. */
function allowsOrigin(request: HandshakeRequest, { allowedOrigins = [] }: HandshakeRules): boolean {
  const origin = request.header("Origin");
  if (origin === null) return true;
  if (allowedOrigins.includes("*") || allowedOrigins.includes(origin.toLowerCase())) return true;
  const host = request.header("Host") ?? "";
  return URL.canParse(origin) && new URL(origin).host.toLowerCase() === host.toLowerCase();
}

/** A key is sixteen bytes in base64. */
function isKey(key: string | null): boolean {
  return key !== null && /^[A-Za-z0-9+/]{22}==$/.test(key);
}

function names(header: string | null, token: string): boolean {
  return (header ?? "").split(",").some((part) => part.trim().toLowerCase() === token);
}
