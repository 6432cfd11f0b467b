/** The targets of the bench that call a backend over HTTP: each sends back what the backend has answered. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { dialectOf } from "../../bench/dialects/table.ts";
import { BARE_RPC, rpcServer } from "../../bench/targets/rpc.ts";
import { ROOT } from "../../bench/trees.ts";

test.each([rpcServer(ROOT), BARE_RPC])("$name", async ({ dialect, start }) => {
  const running = await start();
  try {
    const { path, subprotocol, setup, publish } = dialectOf(dialect);
    const url = `ws://127.0.0.1:${running.port}${path}`;
    const socket = subprotocol === undefined ? new WebSocket(url) : new WebSocket(url, subprotocol);
    await once(socket, "open");
    for (const frame of setup(0, "room.1")) {
      socket.send(frame);
      await once(socket, "message");
    }
    for (let call = 0; call < 3; call++) {
      socket.send(publish("room.1", call, `~mark${call}`, "xxx"));
      const [answer] = (await once(socket, "message")) as [Buffer];
      expect(answer.toString()).toContain(`~mark${call}xxx`);
      expect(answer.toString()).not.toContain("error");
    }
    socket.terminate();
  } finally {
    await running.stop();
  }
});
