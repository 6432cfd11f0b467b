/** Rows of two nodes that share a Redis server. Their costs are those of all three. */
import { ALL_KINDS } from "../dialects/messageloop.ts";
import type { Row, Stage } from "../row.ts";
import { nodesOf } from "../target.ts";
import { isOurs, publishRow } from "./publish.ts";
import { recoverRow, type Storm } from "./recover.ts";

export const REDIS_ROWS: readonly Row[] = [
  publishRow("redis-one-to-one", "one publisher to one subscriber of its node", {
    load: { subscribers: 1 },
    apart: true,
    window: 32,
    rate: 1_000,
  }),
  publishRow("redis-many-publishers", "50 clients on one channel, each of them publishes", {
    load: { subscribers: 50, publishers: 50 },
    window: 50,
    rate: 400,
  }),
  publishRow("redis-many-channels", "100 channels with one subscriber each", {
    load: { subscribers: 100, channels: 100, publishers: 100 },
    window: 64,
    rate: 1_000,
  }),
  publishRow("cross-node", "one publisher to one subscriber of the other node", {
    load: { subscribers: 1 },
    across: true,
    window: 32,
    rate: 1_000,
  }),
  publishRow("cross-node-1000", "one publisher to 1,000 subscribers of the other node", {
    load: { subscribers: 1_000 },
    across: true,
    window: 32,
    rate: 50,
  }),
  restartRow(
    "redis-restart",
    "1,000 clients come back to a restarted node, each has missed 10 messages",
    {
      subscribers: 1_000,
      channels: 100,
      missed: 10,
      restart: true,
    },
  ),
  restartRow(
    "redis-restart-5000",
    "5,000 clients come back to a restarted node, each has missed 10 messages",
    {
      subscribers: 5_000,
      channels: 100,
      missed: 10,
      restart: true,
    },
  ),
];

/** Makes both nodes as fast as they become: some publishes that cross between them, to clients of all kinds. */
export async function warmNodes({ running, generator, target, channel }: Stage): Promise<void> {
  const load = await generator.open({
    ports: [running.port, nodesOf(running).second],
    dialects: isOurs(target) ? ALL_KINDS : [target.dialect],
    channel,
    // Each channel has subscribers on both.
    subscribers: 99,
    channels: 3,
    publishers: 3,
  });
  await load.closed({ window: 32, seconds: 1 });
  await load.close();
}

/** A target that recovers nothing is asked as well: its clients only come back. */
function restartRow(name: string, question: string, storm: Storm): Row {
  const row = recoverRow(name, question, storm, () => true);
  return {
    ...row,
    async measure(stage) {
      const measurement = await row.measure(stage);
      // Rows that follow are to meet a warm node again.
      await warmNodes({ ...stage, channel: `${stage.channel}.after` });
      return measurement;
    },
  };
}
