/** What a gateway hears from the object of a user, in the order of the calls that it hears it by. */
import { expect, test } from "vitest";
import type { Revocation } from "../../src/engine/ports/revocations.ts";
import { encodeUserChangeAnswer } from "../../src/objects/calls/directory-calls.ts";
import { CallSlots } from "../../src/objects/gateway/call-slots.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import { UserRegistration } from "../../src/objects/gateway/user-registration.ts";
import { Trouble } from "../../src/objects/trouble.ts";
import { MemoryRegistrations } from "../../src/threads/objects/memory-stores.ts";
import { eventually } from "../support/eventually.ts";
import { platform } from "../support/platform.ts";

const REVOKED: Revocation = { userId: "ann", tokenId: "one", time: 1, until: 9e15 };

test("a session that comes while the object hears of one that has ended hears by itself why it may not enter", async () => {
  const answers: ((revocations: readonly Revocation[]) => void)[] = [];
  const ended: ReadonlySet<string>[] = [];
  const { timers } = platform;
  const turn = new Turn(timers);
  const update = (): Promise<Uint8Array> =>
    new Promise((resolve) => {
      answers.push((revocations) => resolve(encodeUserChangeAnswer([], revocations)));
    });
  const user = new UserRegistration("ann", {
    gateway: "a",
    userRegistrations: new MemoryRegistrations(),
    calls: { user: () => ({ update, revoke: async () => {}, sessions: update }) },
    platform,
    turn,
    trouble: new Trouble("calls to the directory", platform),
    tellings: new CallSlots(turn, timers),
    sequence: () => answers.length + 1,
    revoked: (_, entering) => ended.push(entering),
  });
  const joined = user.join({ sessionId: "first", since: 1 }, 0);
  await eventually(() => answers.length === 1);
  answers[0]?.([]);
  expect(await joined).toEqual({ full: false, revocations: [] });
  user.leave("first");
  await eventually(() => answers.length === 2);
  const joining = user.join({ sessionId: "late", since: 2 }, 0);
  answers[1]?.([REVOKED]);
  await eventually(() => answers.length === 3);
  expect(ended).toEqual([new Set(["late"])]);
  answers[2]?.([REVOKED]);
  expect(await joining).toEqual({ full: false, revocations: [REVOKED] });
  await eventually(() => ended.length === 2);
  expect(ended[1]).toEqual(new Set());
});
