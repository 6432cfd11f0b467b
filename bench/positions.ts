/** Where channels of a running target are: what its clients go on from when they come again. */
import { WebSocket } from "ws";
import type { Dialect, DialectSpec, Frame, Positions } from "./dialect.ts";
import { dialectOf } from "./dialects/table.ts";

/** @returns undefined where the dialect recovers nothing */
export async function positionsOf(
  port: number,
  spec: DialectSpec,
  channels: readonly string[],
): Promise<Positions | undefined> {
  const dialect = dialectOf(spec);
  const { position } = dialect;
  if (position === undefined) return undefined;
  const found = await Promise.all(
    channels.map(async (channel) => {
      return [channel, position(await lastAnswer(port, dialect, channel))] as const;
    }),
  );
  return Object.fromEntries(found);
}

async function lastAnswer(port: number, dialect: Dialect, channel: string): Promise<Frame> {
  const { path, subprotocol, setup, greets } = dialect;
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, subprotocol);
  try {
    const frames = [...setup(0, channel)];
    return await new Promise<Frame>((resolve, reject) => {
      const next = (): void => socket.send(frames.shift() ?? "", { binary: dialect.binary });
      if (greets !== true) socket.on("open", next);
      socket.on("message", (data: Buffer, binary) => {
        if (frames.length > 0) next();
        else resolve(binary ? data : data.toString());
      });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`${channel}: closed before its position came`)));
    });
  } finally {
    socket.terminate();
  }
}
