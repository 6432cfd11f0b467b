/** Every scalar of every frame at its extremes, through sessions on the broker of many nodes. */
import { expect, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { sweep } from "../boundary/sweep.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix } from "./nodes.ts";
import { redisServer } from "./servers.ts";

test("every scalar at its extremes: receive never rejects, and every frame written decodes", async () => {
  const redis = await redisServer();
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "1s" },
    transport: { websocket: listener, grpc: listener },
    channels: [{ pattern: "boundary.**", survey: true }],
    broker: {
      type: "redis",
      redis: { url: redis.url, key_prefix: newPrefix(), node_secret: "sixteen letters and more" },
    },
  });
  const warnings: string[] = [];
  const logger = {
    warn: (message: string, fields?: object) => {
      warnings.push(`${message} ${JSON.stringify(fields)}`);
    },
  };
  const server = createServer({ config, logger });
  try {
    await server.start();
    const options = { channel: "boundary.room", together: 32 };
    const { sent, written, problems } = await sweep(server.engine, options);
    expect(problems).toEqual([]);
    expect(sent).toBeGreaterThan(5_000);
    expect(written).toBeGreaterThan(sent);
    expect(server.engine.stats().surveys).toBeGreaterThan(100);
    await eventually(() => server.engine.sessionCount === 0);
    expect(warnings).toEqual([]);
  } finally {
    await server.stop();
    await redis.stop();
  }
}, 300_000);
