/** The test client over a WebSocket into the Worker, without a network between them. */
import { exports } from "cloudflare:workers";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { Client as BaseClient, valueAs } from "../support/client.ts";

export { freshChannel, texts } from "../support/client.ts";

export interface ClientOptions {
  readonly encoding?: Encoding;
  readonly extended?: boolean;
  /** Whether it has the capability `compact`. Default false. */
  readonly compact?: boolean;
  readonly clientId?: string;
  readonly subscribe?: readonly string[];
  /** What the client announces; by default nothing that the server knows. */
  readonly capabilities?: readonly string[];
  /** A gateway of the test's choice; the Worker's own placement by default. */
  readonly gateway?: string;
  /** Leaves a close of the server without an answer. */
  readonly halfOpen?: boolean;
  /** Opens the socket; the Worker's own placement by default. */
  readonly open?: (request: Request) => Promise<Response>;
}

export class Client extends BaseClient<WebSocket> {
  /** Opens a socket and connects. */
  static async connect(options: ClientOptions = {}): Promise<Client> {
    const client = await Client.open(options);
    const reply = await client.connect({
      clientId: options.clientId ?? "test",
      subscriptions: (options.subscribe ?? []).map((channel) => ({ channel })),
      ...(options.capabilities === undefined ? {} : { capabilities: [...options.capabilities] }),
    });
    valueAs(reply, "connected");
    return client;
  }

  /** Opens a socket only. */
  static async open(options: ClientOptions = {}): Promise<Client> {
    const { encoding = "json", extended = true, compact = false } = options;
    const request = new Request("http://localhost/ws", {
      headers: {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": codecFor(encoding).subprotocol,
      },
    });
    const { gateway, open = (upgrade) => opened(gateway, upgrade) } = options;
    const response = await open(request);
    const { webSocket } = response;
    if (webSocket === null) throw new Error(`no socket: ${response.status}`);
    const client = new Client(webSocket, { encoding, extended, compact });
    webSocket.accept({ allowHalfOpen: options.halfOpen === true });
    return client;
  }
}

async function opened(gateway: string | undefined, request: Request): Promise<Response> {
  return gateway === undefined
    ? await exports.default.fetch(request)
    : await exports.GatewayDurableObject.getByName(gateway).fetch(request);
}
