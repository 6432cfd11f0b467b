/** Every scalar of every frame at its extremes, through sessions of a gateway in the true runtime. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { sweep } from "../boundary/sweep.ts";
import { freshChannel } from "./socket.ts";

test("every scalar at its extremes: receive never rejects, and every frame written decodes", async () => {
  const gateway = exports.GatewayDurableObject.getByName(`boundary-${freshChannel()}`);
  const { sent, written, problems } = await runInDurableObject(gateway, async (instance) => {
    const { engine } = instance as unknown as { readonly engine: Engine };
    return await sweep(engine, { channel: `boundary.${freshChannel()}`, together: 32 });
  });
  expect(problems).toEqual([]);
  expect(sent).toBeGreaterThan(5_000);
  expect(written).toBeGreaterThan(sent);
}, 300_000);
