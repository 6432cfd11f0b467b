/**
 * The yardstick: the least program that fans out. One object accepts hibernatable sockets and sends
 * what it receives to all of them, the sender included. It has no channels, no log, no protocol.
 */
import { DurableObject } from "cloudflare:workers";

export class Room extends DurableObject {
  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, message) {
    // The load generator waits for one reply to each set-up frame; a room has nothing to set up.
    if (message === "setup") {
      socket.send(message);
      return;
    }
    for (const other of this.ctx.getWebSockets()) other.send(message);
  }
}

// biome-ignore lint/style/noDefaultExport: the runtime calls the default export.
export default {
  fetch(request, _env, ctx) {
    return ctx.exports.Room.getByName("room").fetch(request);
  },
};
