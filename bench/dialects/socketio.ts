/** Socket.IO's frames, in Engine.IO's messages, which begin with 4: 0 connects, 2 is an event, 3 acknowledges. */
import type { Dialect } from "../dialect.ts";

export function socketIoDialect(): Dialect {
  return {
    path: "/socket.io/?EIO=4&transport=websocket",
    binary: false,
    // Engine.IO says what it offers as soon as the WebSocket is open.
    greets: true,
    setup(_client, channel) {
      const connect = "40";
      // The 0 after the type is the number that the acknowledgement carries.
      return channel === undefined
        ? [connect]
        : [connect, `420${JSON.stringify(["join", channel])}`];
    },
    publish: (channel, _sequence, mark, padding) =>
      `42${JSON.stringify(["publish", channel, mark + padding])}`,
  };
}
