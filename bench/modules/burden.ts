/** Makes a program slower: its gateways first keep their thread busy for each message of a client, for as long as was said last. */

/** `POST` says for how long, in nanoseconds. */
const BURDEN_PATH = "/bench/burden";

let busyMs = 0;

type Constructor = new (ctx: DurableObjectState, env: Env) => object;

/** What has sockets. */
interface Gateway {
  webSocketMessage?(socket: WebSocket, message: string | ArrayBuffer): unknown;
}

/** An object's class, except that it is slower. */
export function around(_className: string, Original: Constructor): Constructor {
  const gateway = Original.prototype as Gateway;
  const { webSocketMessage } = gateway;
  if (webSocketMessage !== undefined) {
    gateway.webSocketMessage = function (...args) {
      const end = performance.now() + busyMs;
      while (performance.now() < end);
      return webSocketMessage.apply(this, args);
    };
  }
  return Original;
}

/** The Worker in front, except that it can be told. */
export function front(program: ExportedHandler<Env>): ExportedHandler<Env> {
  return {
    async fetch(request, env, ctx) {
      if (new URL(request.url).pathname === BURDEN_PATH) {
        busyMs = Number(await request.text()) / 1e6;
        return new Response("told");
      }
      return (await program.fetch?.(request, env, ctx)) ?? new Response(null, { status: 404 });
    },
  };
}
