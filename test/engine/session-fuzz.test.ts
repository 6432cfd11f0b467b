/** The short form of what `npm run check:fuzz` does with sessions. */
import { expect, test } from "vitest";
import { fuzz } from "../../checks/fuzz/fuzzers.ts";
import { SCENE_FRAMES } from "../../checks/fuzz/sessions.ts";
import { seed, steps } from "../support/random.ts";

const SCENES = 50;

test("whatever sessions are sent, what they write can be read, and nothing unforeseen happens", {
  timeout: 60_000 + 1_000 * steps(SCENES),
}, async () => {
  const scenes = { fuzzer: "sessions", seed: seed(), from: 0, to: steps(SCENES) };
  expect(await fuzz(scenes)).toBe(steps(SCENES) * SCENE_FRAMES);
});

test("a step that fails is named", async () => {
  const planted = { fuzzer: "decoders", seed: 7, from: 3, to: 9, plant: 5 };
  await expect(fuzz(planted)).rejects.toThrow('--seed 7 --only "decoders" --step 5');
});
