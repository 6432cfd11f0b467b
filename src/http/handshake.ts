/** Whether a request on the WebSocket path is an upgrade that we take. Every host asks here. */

/** Characters of a reason that reach the log: a header may be as long as its sender likes. */
const MAX_REASON = 500;

/** A request as far as it matters here. */
export interface HandshakeRequest {
  readonly method: string;
  header(name: string): string | null;
}

/** A request that was made in the process itself has its host in the URL only. */
export function handshakeRequest({ method, headers, url }: Request): HandshakeRequest {
  return {
    method,
    header: (name) => headers.get(name) ?? (name === "Host" ? new URL(url).host : null),
  };
}

export interface HandshakeRules {
  /**
   * Origins beside the server's own host that a browser's page may come from, such as
   * `https://app.example`; `*` allows all. Default none.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Hosts that the server goes by, such as `app.example`, on any port, or `app.example:8443`, on that
   * one. A request to any other is refused, with any Origin. Default: every host is the server's own.
   */
  readonly allowedHosts?: readonly string[];
}

export interface HandshakeProblem {
  readonly status: 400 | 403 | 405;
  /** For the client. */
  readonly text: string;
  /** For the operator's log. */
  readonly reason: string;
}

/** What v0.1.1 answers to a request on the WebSocket path that is no upgrade it takes. */
export function handshakeProblem(
  request: HandshakeRequest,
  rules: HandshakeRules = {},
): HandshakeProblem | undefined {
  if (request.method !== "GET") {
    return { status: 405, text: "Method Not Allowed", reason: "the method is not GET" };
  }
  const upgrades = names(request.header("Connection"), "upgrade") && asksForWebSocket(request);
  const valid =
    upgrades &&
    request.header("Sec-WebSocket-Version") === "13" &&
    isKey(request.header("Sec-WebSocket-Key"));
  if (!valid) {
    return { status: 400, text: "Bad Request", reason: "it is no upgrade to WebSocket 13" };
  }
  const reason = strangeness(request, rules);
  return reason === undefined ? undefined : { status: 403, text: "Forbidden", reason };
}

/**
 * Why a request is refused by where it comes from, for the operator's log; undefined where it is not. At most 500
 * characters. Every door that pages may use asks here.
 */
export function strangeness(
  request: Pick<HandshakeRequest, "header">,
  rules: HandshakeRules = {},
): string | undefined {
  const reason = foreignHost(request, rules) ?? foreignOrigin(request, rules);
  return reason?.slice(0, MAX_REASON);
}

/** Whether WebSocket is among the protocols that a request would like to change to. */
export function asksForWebSocket(request: Pick<HandshakeRequest, "header">): boolean {
  return names(request.header("Upgrade"), "websocket");
}

/**
 * A page of another site can reach the server under a name of that site (DNS rebinding), and then its
 * Origin agrees with the Host. Only a list of the server's own names distinguishes them.
 */
function foreignHost(
  request: Pick<HandshakeRequest, "header">,
  { allowedHosts = [] }: HandshakeRules,
): string | undefined {
  const host = (request.header("Host") ?? "").toLowerCase();
  if (allowedHosts.length === 0 || allowedHosts.includes(host)) return undefined;
  if (allowedHosts.includes(host.replace(/:\d*$/, ""))) return undefined;
  return `the host ${host} is not one of transport.websocket.allowed_hosts`;
}

/** Without an Origin the client is no browser; with one its host must be ours, or be allowed. */
function foreignOrigin(
  request: Pick<HandshakeRequest, "header">,
  { allowedOrigins = [] }: HandshakeRules,
): string | undefined {
  const origin = request.header("Origin");
  if (origin === null) return undefined;
  if (allowedOrigins.includes("*") || allowedOrigins.includes(origin.toLowerCase())) {
    return undefined;
  }
  if (isOfHost(origin, request.header("Host") ?? "")) return undefined;
  return `the origin ${origin} is neither the server's own nor one of transport.websocket.allowed_origins`;
}

/** Whether an origin is that of a host. A scheme's default port may be written or left out. */
function isOfHost(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: own } = new URL(origin);
  const authority = `${protocol}//${host}`;
  // What has more than a name and a port would be another host to a URL.
  if (!/^[^\s/?#@\\]+$/.test(host) || !URL.canParse(authority)) return false;
  return new URL(authority).host.toLowerCase() === own.toLowerCase();
}

/** A key is sixteen bytes in base64. */
function isKey(key: string | null): boolean {
  return key !== null && /^[A-Za-z0-9+/]{22}==$/.test(key);
}

function names(header: string | null, token: string): boolean {
  return (header ?? "").split(",").some((part) => part.trim().toLowerCase() === token);
}
