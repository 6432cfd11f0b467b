/**
 * The yardstick: the least Durable Object that fans out. It sends what it receives to all sockets that have joined
 * the channel that the message begins with, the sender included. It has no log and no protocol; of a sleep it
 * remembers who has joined what.
 */
import { DurableObject } from "cloudflare:workers";

const JOIN = "join ";

export class Room extends DurableObject {
  readonly #channels = new Map<string, Set<WebSocket>>();

  constructor(ctx: DurableObjectState, env: object) {
    super(ctx, env as Env);
    for (const socket of ctx.getWebSockets()) {
      const channel: unknown = socket.deserializeAttachment();
      if (typeof channel === "string") this.#socketsOf(channel).add(socket);
    }
  }

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string): void {
    if (message === "setup") socket.send(message);
    else if (message.startsWith(JOIN)) {
      const channel = message.slice(JOIN.length);
      socket.serializeAttachment(channel);
      this.#socketsOf(channel).add(socket);
      socket.send(message);
    } else {
      const channel = message.slice(0, message.indexOf(" "));
      for (const other of this.#socketsOf(channel)) other.send(message);
    }
  }

  override webSocketClose(socket: WebSocket): void {
    for (const sockets of this.#channels.values()) sockets.delete(socket);
    socket.close();
  }

  #socketsOf(channel: string): Set<WebSocket> {
    let sockets = this.#channels.get(channel);
    if (sockets === undefined) {
      sockets = new Set();
      this.#channels.set(channel, sockets);
    }
    return sockets;
  }
}

/** As the Worker finds it in `ctx.exports`. */
interface RoomExports {
  readonly Room: { getByName(name: string): { fetch(request: Request): Promise<Response> } };
}

export default {
  async fetch(request, _env, ctx): Promise<Response> {
    const { Room: rooms } = ctx.exports as unknown as RoomExports;
    return await rooms.getByName("room").fetch(request);
  },
} satisfies ExportedHandler;
