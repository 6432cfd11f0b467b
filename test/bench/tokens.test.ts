/** Clients of the bench that show a token are who it says, on a server that takes nobody without one. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { dialectOf } from "../../bench/dialects/table.ts";
import { anonymousServer, tokenServer } from "../../bench/targets/tokens.ts";
import { ROOT } from "../../bench/trees.ts";
import { codecFor } from "../../src/protocol/codec.ts";

test("the target with tokens reads them, and the one beside it does without", async () => {
  const [tokens, anonymous] = [tokenServer(ROOT), anonymousServer()];
  for (const [target, speaking, expected] of [
    [tokens, tokens, "connected bench"],
    [tokens, anonymous, "error AUTH_ERROR"],
    [anonymous, anonymous, "connected "],
  ] as const) {
    const running = await target.start();
    try {
      const { path, subprotocol = "", setup } = dialectOf(speaking.dialect);
      const socket = new WebSocket(`ws://127.0.0.1:${running.port}${path}`, subprotocol);
      await once(socket, "open");
      socket.send(setup(0, undefined)[0] as string);
      const [answer] = (await once(socket, "message")) as [Buffer];
      const { envelope } = codecFor("json").decodeOutbound(answer.toString());
      const told =
        envelope.case === "connected"
          ? `connected ${envelope.value.userId}`
          : `error ${envelope.case === "error" ? envelope.value.code : ""}`;
      expect(told).toBe(expected);
      socket.terminate();
    } finally {
      await running.stop();
    }
  }
});
