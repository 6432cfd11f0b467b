/** Makes a program slower: its gateways first keep their thread busy for each message of a client, for as long as was said last. */

/** `POST` says for how long, in nanoseconds. */
const BURDEN_PATH = "/bench/burden";

/** The clock of workerd has steps of 1 ms, so what is shorter is counted out. */
const CALIBRATION_MS = 20;

let rounds = 0;
let sink = 1;

/** Keeps the thread busy. */
function work(count: number): void {
  for (let i = 0; i < count; i++) sink = (Math.imul(sink, 31) + i) | 0;
}

/** How many rounds of `work` a millisecond takes, now that it has been compiled. */
function roundsPerMs(): number {
  const chunk = 10_000;
  let done = 0;
  work(100 * chunk);
  const begin = performance.now();
  for (; performance.now() - begin < CALIBRATION_MS; done += chunk) work(chunk);
  return done / (performance.now() - begin);
}

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
      work(rounds);
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
        const ns = Number(await request.text());
        rounds = ns === 0 ? 0 : Math.round((ns / 1e6) * roundsPerMs());
        return new Response(`${sink}`);
      }
      return (await program.fetch?.(request, env, ctx)) ?? new Response(null, { status: 404 });
    },
  };
}
