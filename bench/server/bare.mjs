/**
 * The yardsticks: WebSocket servers that send what they receive to everybody, and do nothing else. With
 * `frames` each message is sent to each socket by the library; with `turns` a message is put into its wire
 * form once, and what a socket receives in one turn of the event loop leaves as one write. Prints its
 * port.
 */
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const mode = process.argv[2];
if (mode !== "frames" && mode !== "turns") throw new Error("usage: bare.mjs frames|turns");

const clients = new Map();
let turn = [];

const http = createServer();
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });

http.on("upgrade", (request, socket, head) => {
  server.handleUpgrade(request, socket, head, (ws) => {
    clients.set(ws, socket);
    ws.on("close", () => clients.delete(ws));
    ws.on("message", (data) => {
      // The load generator waits for one reply to each set-up frame; there is nothing to set up.
      if (data.length === 5 && data.toString("latin1") === "setup") ws.send("setup");
      else if (mode === "frames") toEach(data);
      else nextTurn(data);
    });
  });
});

function toEach(data) {
  for (const ws of clients.keys()) ws.send(data, { binary: false });
}

function nextTurn(data) {
  if (turn.length === 0) {
    setImmediate(() => {
      const bytes = Buffer.concat(turn);
      turn = [];
      for (const socket of clients.values()) socket.write(bytes);
    });
  }
  turn.push(wireForm(data));
}

/** A whole text frame from a server, unmasked. */
function wireForm(data) {
  const { length } = data;
  if (length < 126) return Buffer.concat([Buffer.from([0x81, length]), data]);
  return Buffer.concat([Buffer.from([0x81, 126, length >> 8, length & 255]), data]);
}

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.once("SIGTERM", () => process.exit(0));
