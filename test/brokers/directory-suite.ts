/** What every directory does, whoever keeps it: the users of nodes, and the channels that there are. */
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { Broker } from "../../src/engine/ports/broker.ts";
import type { ChannelPage, Directory } from "../../src/engine/ports/directory.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { eventually } from "../support/eventually.ts";

/** Nodes of one directory. Their `positionTtlMs` is a day. */
export interface DirectoryScene {
  readonly nodes: readonly [Broker, Broker];
  /** Begins every name, so that runs do not meet. */
  readonly word: string;
}

export function directoryOf({ directory }: Broker): Directory {
  if (directory === undefined) throw new Error("there is no directory");
  return directory;
}

export async function published(broker: Broker, ...channels: readonly string[]): Promise<void> {
  for (const channel of channels) {
    await broker.publish(channel, { key: crypto.randomUUID(), body: create(EntryBodySchema) });
  }
}

export async function found(broker: Broker, user: string): Promise<string[]> {
  const sessions = await directoryOf(broker).sessions(user);
  return sessions.map(({ sessionId }) => sessionId).sort();
}

export async function page(
  broker: Broker,
  { pattern = "**", after = "", limit = 100 } = {},
): Promise<ChannelPage> {
  return await directoryOf(broker).channels({ pattern, after, limit });
}

/** Names of the channels of a pattern, as soon as there are so many. */
export async function names(broker: Broker, pattern: string, count: number): Promise<string[]> {
  const { channels } = await eventually(
    () => page(broker, { pattern }),
    (seen) => seen.channels.length === count,
  );
  return channels.map(({ channel }) => channel);
}

export function directorySuite(
  what: string,
  run: (body: (scene: DirectoryScene) => Promise<void>) => Promise<void>,
): void {
  describe(what, () => {
    test("a user is found on every node until the last session has gone", async () => {
      await run(async ({ nodes: [one, two], word }) => {
        const user = `${word} {x} ann`;
        for (const [i, node] of [one, two, two].entries()) {
          await directoryOf(node).join(user, { sessionId: `n${i}.s`, since: 1_000 + i });
        }
        // Told again it is still one.
        await directoryOf(one).join(user, { sessionId: "n0.s", since: 1_000 });
        const sessions = await directoryOf(one).sessions(user);
        expect(sessions.toSorted((a, b) => a.since - b.since)).toEqual([
          { sessionId: "n0.s", since: 1_000 },
          { sessionId: "n1.s", since: 1_001 },
          { sessionId: "n2.s", since: 1_002 },
        ]);
        expect(await found(two, `${user}e`)).toEqual([]);
        directoryOf(two).leave(user, "n1.s");
        directoryOf(two).leave(user, "never");
        await eventually(async () => (await found(one, user)).length === 2);
        directoryOf(one).forget(user, ["n2.s", "never"]);
        await eventually(async () => (await found(two, user)).length === 1);
        directoryOf(one).leave(user, "n0.s");
        await eventually(async () => (await found(two, user)).length === 0);
      });
    });

    test("who leaves before the directory has answered is not found", async () => {
      await run(async ({ nodes: [one, two], word }) => {
        const joining = directoryOf(one).join(word, { sessionId: "s", since: 1 });
        directoryOf(one).leave(word, "s");
        await joining;
        await directoryOf(one).join(word, { sessionId: "t", since: 1 });
        expect(await found(two, word)).toEqual(["t"]);
      });
    });

    test("channels that were published to or have subscribers are listed by name, with members and heads", async () => {
      await run(async ({ nodes: [one, two], word }) => {
        const before = Date.now();
        await published(one, `${word}.c.log`, `${word}.a`, `${word}.a`);
        await two.subscribe(`${word}.b`);
        await two.join(`${word}.b`, { sessionId: "s", userId: "ann", clientId: "" });
        await two.join(`${word}.b`, { sessionId: "t", userId: "bob", clientId: "" });
        // A question makes no channel.
        await one.history(`${word}.asked`, { limit: 1 });
        await one.presence(`${word}.asked`, 1);
        expect(await names(one, `${word}.**`, 3)).toEqual(
          ["a", "b", "c.log"].map((rest) => `${word}.${rest}`),
        );
        const { channels, next, asOf } = await page(two, { pattern: `${word}.*` });
        expect(channels).toEqual([
          { channel: `${word}.a`, members: 0, head: { epoch: expect.any(String), offset: 2 } },
          { channel: `${word}.b`, members: 2, head: { epoch: expect.any(String), offset: 0 } },
        ]);
        expect(next).toBeUndefined();
        expect(asOf).toBeGreaterThan(before - 2_000);
        expect(asOf).toBeLessThanOrEqual(Date.now() + 1_000);
        two.unsubscribe(`${word}.b`);
        expect(await names(one, `${word}.b`, 1)).toEqual([`${word}.b`]);
        expect(await names(one, `${word}.b.**`, 1)).toEqual([`${word}.b`]);
        expect(await names(one, `${word}`, 0)).toEqual([]);
      });
    });

    test("pages follow each other by the bytes of the names, and name every channel once", async () => {
      await run(async ({ nodes: [one, two], word }) => {
        const rest = Array.from({ length: 25 }, (_, i) => `n${i}`);
        const all = [...rest, "\u{1f600}", "\uff5e", "\u00e9", "n-", "n0.x", "n0-"];
        const channels = all.map((name) => `${word}.${name}`);
        // Beside them in the order, and none of the pattern's.
        await published(one, ...channels, `${word}-`, `${word}0`);
        await names(two, `${word}.**`, channels.length);
        for (const limit of [1, 7, channels.length, 100]) {
          const listed: string[] = [];
          let after: string | undefined = "";
          while (after !== undefined) {
            const { channels: some, next }: ChannelPage = await page(two, {
              pattern: `${word}.**`,
              after,
              limit,
            });
            expect(some.length).toBeLessThanOrEqual(limit);
            listed.push(...some.map(({ channel }) => channel));
            after = next;
          }
          const bytes = (a: string, b: string): number =>
            Buffer.compare(Buffer.from(a), Buffer.from(b));
          expect(listed).toEqual(channels.toSorted(bytes));
        }
      });
    });
  });
}
