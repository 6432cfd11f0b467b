/**
 * Socket.IO with its rooms. A client that has joined a room gets what anybody publishes there. Prints its port.
 * It is no TypeScript, because the package and its types are only here when `npm ci` has run in this folder.
 */
import { createServer } from "node:http";
import { Server } from "socket.io";

/** The generator answers no heartbeats: this one comes after every run, in milliseconds. */
const HEARTBEAT_MS = 3_600_000;

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  pingInterval: HEARTBEAT_MS,
});

io.on("connection", (socket) => {
  socket.on("join", (room, joined) => {
    socket.join(room);
    joined();
  });
  socket.on("publish", (room, text) => io.to(room).emit("message", text));
});

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.once("SIGTERM", () => process.exit(0));
