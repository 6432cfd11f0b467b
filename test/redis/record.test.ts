/** What the checker of the random life lets pass, and what it does not. */
import { expect, test } from "vitest";
import { type Listener, problems } from "./record.ts";

const EPOCH = "e";

function listener(registered: number, told: readonly (number | readonly [number, number])[]) {
  const channel = "a";
  const node = {
    told: told.map((one) =>
      typeof one === "number"
        ? { kind: "entry", channel, epoch: EPOCH, offset: one, text: `${one}` }
        : {
            kind: "gap",
            channel,
            gap: {
              reason: "expired",
              after: { epoch: EPOCH, offset: one[0] },
              until: { epoch: EPOCH, offset: one[1] },
            },
          },
    ),
  } as Listener["node"];
  return { name: "n", node, channel, registered: { epoch: EPOCH, offset: registered }, since: 0 };
}

function found(registered: number, told: readonly (number | readonly [number, number])[]) {
  return problems([listener(registered, told)], []);
}

test("what was heard before the registration was answered may come, in its order and once", () => {
  expect(found(5, [6, 7])).toEqual([]);
  expect(found(5, [3, 4, 5, 6])).toEqual([]);
  expect(found(5, [[3, 5], 6])).toEqual([]);
});

test("what comes twice, out of order, or not at all is a problem wherever it begins", () => {
  expect(found(5, [3, 4, 4, 5, 6])).toEqual(["n a: e-4 comes behind e-4"]);
  expect(found(5, [3, 5, 6])).toEqual(["n a: e-5 comes behind e-3"]);
  expect(found(5, [7])).toEqual(["n a: e-7 comes behind e-5"]);
  expect(found(5, [6, 5])).toEqual(["n a: e-5 comes behind e-6"]);
  const missing = { channel: "a", text: "t", position: { epoch: EPOCH, offset: 6 }, sent: 1 };
  expect(problems([listener(5, [3, 4, 5])], [missing])).toEqual(["n a: t at e-6 is missing"]);
});
