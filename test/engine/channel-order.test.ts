/** The order of a session's tasks that name the same channel, however many channels a task names. */
import { expect, test } from "vitest";
import { ChannelOrder } from "../../src/engine/session/channel-order.ts";

/** Tasks that end when the test ends them, and the list of those that have begun and ended. */
function scene() {
  const order = new ChannelOrder();
  const seen: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string, channels: readonly string[], kind: "shared" | "exclusive") =>
    order.run(channels, kind, async () => {
      seen.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      seen.push(`${name}.`);
      return name;
    });
  return { order, seen, run, end: (name: string) => ends.get(name)?.() };
}

test("publishes to one channel run beside each other, and all else has it to itself", async () => {
  const { seen, run, end } = scene();
  const one = run("one", ["a"], "shared");
  const two = run("two", ["a"], "shared");
  const change = run("change", ["a"], "exclusive");
  // It does not go ahead of what waits.
  const three = run("three", ["a"], "shared");
  const other = run("other", ["b"], "exclusive");
  expect(seen).toEqual(["one", "two", "other"]);
  end("two");
  await two;
  end("one");
  await one;
  await Promise.resolve();
  expect(seen).toEqual(["one", "two", "other", "two.", "one.", "change"]);
  end("change");
  await change;
  await Promise.resolve();
  expect(seen.at(-1)).toBe("three");
  end("three");
  end("other");
  expect(await Promise.all([three, other])).toEqual(["three", "other"]);
});

test("a task of several channels waits for all of them, and those after it for it", async () => {
  const { seen, run, end } = scene();
  const one = run("one", ["a"], "exclusive");
  const both = run("both", ["a", "b"], "exclusive");
  const two = run("two", ["b"], "shared");
  expect(seen).toEqual(["one"]);
  end("one");
  await one;
  await Promise.resolve();
  expect(seen).toEqual(["one", "one.", "both"]);
  end("both");
  await both;
  await Promise.resolve();
  expect(seen).toEqual(["one", "one.", "both", "both.", "two"]);
  end("two");
  await two;
});

test.each<[what: string, channels: readonly string[]]>([
  ["one channel", ["a"]],
  ["several channels", ["a", "b"]],
])("a task of %s that fails, or throws at once, leaves them", async (_, channels) => {
  const { order } = scene();
  const refused = new Error("refused");
  const fails = order.run(channels, "exclusive", () => Promise.reject(refused));
  await expect(fails).rejects.toBe(refused);
  const throws = order.run(channels, "exclusive", () => {
    throw refused;
  });
  await expect(throws).rejects.toBe(refused);
  expect(await order.run(channels, "exclusive", async () => "next")).toBe("next");
});
