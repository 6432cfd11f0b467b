/**
 * The native publish of Bun: what a script runtime can do. It speaks the dialect of the bare servers: `setup`
 * is answered, `join CHANNEL` is answered and subscribes, and everything else goes whole to the channel that is
 * its first word. Prints its port. Only Bun runs it.
 */
/* global Bun */

const JOIN = "join ";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, self) {
    return self.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    // No heartbeat: the generator answers none.
    idleTimeout: 0,
    sendPings: false,
    message(socket, text) {
      if (text === "setup") socket.send(text);
      else if (text.startsWith(JOIN)) {
        socket.subscribe(text.slice(JOIN.length));
        socket.send(text);
      } else server.publish(text.slice(0, text.indexOf(" ")), text);
    },
  },
});

console.log(server.port);
