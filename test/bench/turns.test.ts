import { expect, test } from "vitest";
import { inTurns, type Turn } from "../../bench/turns.ts";

const later = () => new Promise((resolve) => setTimeout(resolve, 1));

/** Says what it does, and takes as many turns as it is told to. */
function talking(said: string[], name: string, turns: number) {
  return async (turn: Turn): Promise<string> => {
    for (let number = 1; number <= turns; number++) {
      if (number > 1) await turn();
      said.push(`${name}${number} begins`);
      await later();
      said.push(`${name}${number} ends`);
    }
    return name;
  };
}

test("one at a time, in an order that turns back, until all have ended", async () => {
  const said: string[] = [];
  const results = await inTurns([
    talking(said, "a", 3),
    talking(said, "b", 2),
    talking(said, "c", 1),
  ]);
  expect(results).toEqual(["a", "b", "c"]);
  expect(said).toEqual(
    ["a1", "b1", "c1", "b2", "a2", "a3"].flatMap((turn) => [`${turn} begins`, `${turn} ends`]),
  );
});

test("one that fails does not keep the others from their end", async () => {
  const said: string[] = [];
  const failing = async (turn: Turn): Promise<string> => {
    await turn();
    throw new Error("broken");
  };
  await expect(inTurns([failing, talking(said, "b", 3)])).rejects.toThrow("broken");
  expect(said.at(-1)).toBe("b3 ends");
});
