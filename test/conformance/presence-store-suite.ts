/** The cases of presence that hold over every store: run on memory and on a Durable Object's SQLite (M1, M3, M5, M6). */
import { expect, test } from "vitest";
import {
  ChannelPresence,
  type Member,
  type MemberSession,
  type PresenceChange,
  type PresenceStore,
} from "../../src/channels/presence.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { ManualClock } from "./log-store-suite.ts";

/** Runs a case with a store; `reopen` is the same store as a fresh life finds it. */
export type WithPresenceStore = (
  run: (store: PresenceStore, reopen: () => PresenceStore) => void | Promise<void>,
) => Promise<void>;

const GRACE_MS = 5_000;

function session(sessionId: string, userId = "", clientId = ""): MemberSession {
  return { sessionId, userId, clientId };
}

/** Changes as short texts: `+ali@phone`, `-anonymous session`. */
function told(...changes: readonly (PresenceChange | undefined)[]): string[] {
  return changes
    .filter((change) => change !== undefined)
    .map(({ joined, member }) => `${joined ? "+" : "-"}${nameOf(member)}`);
}

function nameOf({ userId, clientId, sessionId }: MemberSession | Member): string {
  return userId === "" && clientId === "" ? sessionId : `${userId}@${clientId}`;
}

const phone = session("s1", "ali", "phone");
const phoneAgain = session("s2", "ali", "phone");
const laptop = session("s3", "ali", "laptop");

export function presenceStoreSuite(withStore: WithPresenceStore): void {
  const open = (store: PresenceStore, clock: ManualClock, graceMs = GRACE_MS): ChannelPresence =>
    new ChannelPresence(store, clock, graceMs);

  test("a member joins once and leaves once, however often it is said", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock());
      expect(told(presence.join("n1", phone))).toEqual(["+ali@phone"]);
      expect(told(presence.join("n1", phone))).toEqual([]);
      expect(presence.size).toBe(1);
      expect(told(presence.leave("s1", true))).toEqual(["-ali@phone"]);
      expect(told(presence.leave("s1", true))).toEqual([]);
      expect(told(presence.leave("unknown", true))).toEqual([]);
      expect(presence.size).toBe(0);
      expect([...store.sessions()]).toEqual([]);
    }));

  test("one user on two clients is two members", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock());
      expect(told(presence.join("n1", phone), presence.join("n1", laptop))).toEqual([
        "+ali@phone",
        "+ali@laptop",
      ]);
      expect(told(presence.leave("s1", true))).toEqual(["-ali@phone"]);
    }));

  test("two sessions of a member on two nodes are one: it leaves when the second has gone", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const presence = open(store, clock);
      presence.join("n1", phone);
      expect(told(presence.join("n2", phoneAgain))).toEqual([]);
      // The second is there: the first need not be waited for, however it went.
      expect(told(presence.leave("s1", false))).toEqual([]);
      expect(presence.nextExpiry).toBeUndefined();
      const again = open(reopen(), clock);
      expect(again.snapshot(10).total).toBe(1);
      expect(told(again.leave("s2", true))).toEqual(["-ali@phone"]);
    }));

  test("names that look alike are different members", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock());
      const alike = [
        session("a", "x", "y,z"),
        session("b", "x,y", "z"),
        session("c", "", "x"),
        session("d", "x", ""),
        session("e"),
      ];
      expect(told(...alike.map((one) => presence.join("n1", one)))).toHaveLength(5);
      expect(presence.size).toBe(5);
    }));

  test("sessions without names are members of their own, and only they show their id", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock());
      const joins = [
        presence.join("n1", session("a")),
        presence.join("n1", session("b")),
        presence.join("n1", phone),
      ];
      expect(joins.map((join) => join?.member.sessionId)).toEqual(["a", "b", ""]);
      expect(told(presence.leave("a", true))).toEqual(["-a"]);
    }));

  test("who drops leaves when the grace is over, and not before", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const presence = open(store, clock);
      presence.join("n1", phone);
      expect(told(presence.leave("s1", false))).toEqual([]);
      expect(presence.nextExpiry).toBe(clock.time + GRACE_MS);
      clock.time += GRACE_MS - 1;
      expect(told(...presence.expire())).toEqual([]);
      // Dropping again does not begin anew.
      expect(told(presence.leave("s1", false))).toEqual([]);
      const again = open(reopen(), clock);
      expect(again.nextExpiry).toBe(clock.time + 1);
      clock.time += 1;
      expect(told(...again.expire())).toEqual(["-ali@phone"]);
      expect(again.nextExpiry).toBeUndefined();
      expect([...store.sessions()]).toEqual([]);
    }));

  test("a member that comes back in its grace, on whichever node, has not been away", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      for (const node of ["n1", "n2"]) {
        const presence = open(reopen(), clock);
        presence.join("n1", phone);
        presence.leave("s1", false);
        clock.time += GRACE_MS - 1;
        expect(told(presence.join(node, phoneAgain))).toEqual([]);
        expect(presence.nextExpiry).toBeUndefined();
        clock.time += GRACE_MS;
        expect(told(...presence.expire())).toEqual([]);
        expect([...store.sessions()].map(({ sessionId }) => sessionId)).toEqual(["s2"]);
        expect(told(presence.leave("s2", true))).toEqual(["-ali@phone"]);
      }
    }));

  test("the same session may come back itself, also elsewhere", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const presence = open(store, clock);
      presence.join("n1", phone);
      presence.leave("s1", false);
      expect(told(presence.join("n2", phone))).toEqual([]);
      expect(presence.nextExpiry).toBeUndefined();
      const again = open(reopen(), clock);
      expect(told(...again.lost("n1"))).toEqual([]);
      expect(again.nextExpiry).toBeUndefined();
      again.lost("n2");
      clock.time += GRACE_MS;
      expect(told(...again.expire())).toEqual(["-ali@phone"]);
    }));

  test("a clean leave ends a grace at once", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock());
      presence.join("n1", phone);
      presence.leave("s1", false);
      expect(told(presence.leave("s1", true))).toEqual(["-ali@phone"]);
      expect(presence.nextExpiry).toBeUndefined();
    }));

  test("without a grace every leave is at once", () =>
    withStore((store) => {
      const presence = open(store, new ManualClock(), 0);
      presence.join("n1", phone);
      presence.join("n1", laptop);
      expect(told(presence.leave("s1", false))).toEqual(["-ali@phone"]);
      expect(told(...presence.lost("n1"))).toEqual(["-ali@laptop"]);
      expect(presence.nextExpiry).toBeUndefined();
    }));

  test("a node that lost its sessions loses all but those it names", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const presence = open(store, clock);
      presence.join("n1", phone);
      presence.join("n1", laptop);
      presence.join("n1", session("s4", "bea", "phone"));
      presence.join("n2", session("s5", "bea", "phone"));
      presence.join("n2", session("s6", "cem", "phone"));
      expect(told(...presence.lost("n1", new Set(["s3", "elsewhere"])))).toEqual([]);
      const again = open(reopen(), clock);
      clock.time += GRACE_MS;
      // bea is there through another node.
      expect(told(...again.expire())).toEqual(["-ali@phone"]);
      expect(again.snapshot(9).members.map(nameOf)).toEqual([
        "ali@laptop",
        "bea@phone",
        "cem@phone",
      ]);
    }));

  test("generations rise with every change, also over the life that forgot the last one", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      let presence = open(store, clock);
      let last = presence.generation;
      for (let round = 0; round < 3; round++) {
        for (const step of ["join", "leave"]) {
          const change = step === "join" ? presence.join("n1", phone) : presence.leave("s1", true);
          expect(change?.generation).toBeGreaterThan(last);
          last = change?.generation ?? last;
          expect(presence.generation).toBe(last);
        }
        clock.time += 10;
        presence = open(reopen(), clock);
      }
    }));

  test("a snapshot lists those first who joined first, and is cut at its limit", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const presence = open(store, clock);
      // The ids are in another order than the joins.
      for (const id of ["z", "m", "a", "q"]) {
        presence.join("n1", session(id, id, ""));
        clock.time += 7;
      }
      presence.join("n2", session("b", "m", ""));
      for (const one of [presence, open(reopen(), clock)]) {
        const { members, total, generation } = one.snapshot(3);
        expect(members.map(({ userId }) => userId)).toEqual(["z", "m", "a"]);
        expect(members.map(({ time }) => time)).toEqual([1_000_000, 1_000_007, 1_000_014]);
        expect(total).toBe(4);
        expect(generation).toBe(presence.generation);
        expect(one.snapshot(0)).toMatchObject({ members: [], total: 4 });
      }
      // Who stays keeps its place, through whatever session.
      presence.leave("m", true);
      expect(presence.snapshot(9).members.map(({ userId }) => userId)).toEqual([
        "z",
        "m",
        "a",
        "q",
      ]);
    }));

  test("random steps equal a naive model, reopened at any step", () =>
    withStore((store, reopen) => {
      const [first, count] = [seed(), steps(1_500)];
      const random = seededRandom(first);
      const clock = new ManualClock();
      let presence = open(store, clock);
      let sessions: ModelSession[] = [];
      const order: string[] = [];
      let last = 0;
      const of = (name: string): ModelSession[] => sessions.filter((one) => one.name === name);
      const settle = (name: string, had: boolean): string[] => {
        const has = of(name).length > 0;
        if (has === had) return [];
        if (has) order.push(name);
        else order.splice(order.indexOf(name), 1);
        return [`${has ? "+" : "-"}${name}`];
      };
      const join = (node: string, { sessionId, ...names }: MemberSession): string[] => {
        const name = nameOf({ sessionId, ...names });
        const known = sessions.find((one) => one.id === sessionId);
        const had = of(name).length > 0;
        if (known === undefined) {
          sessions = sessions.filter((one) => one.name !== name || one.leaving === undefined);
          sessions.push({ id: sessionId, name, node, leaving: undefined });
        } else Object.assign(known, { node, leaving: undefined });
        return settle(name, had);
      };
      const leave = (id: string, clean: boolean): string[] => {
        const known = sessions.find((one) => one.id === id);
        if (known === undefined) return [];
        const others = of(known.name).some((one) => one !== known && one.leaving === undefined);
        if (!clean && !others) known.leaving ??= clock.time + GRACE_MS;
        else sessions = sessions.filter((one) => one !== known);
        return settle(known.name, true);
      };
      const lost = (node: string, except: ReadonlySet<string>): string[] =>
        sessions
          .filter((one) => one.node === node && !except.has(one.id))
          .flatMap(({ id }) => leave(id, false));
      const expire = (): string[] => {
        const over = sessions.filter(({ leaving }) => (leaving ?? Infinity) <= clock.time);
        over.sort((left, right) => (left.leaving ?? 0) - (right.leaving ?? 0));
        return over.flatMap((one) => {
          sessions = sessions.filter((other) => other !== one);
          return settle(one.name, true);
        });
      };
      for (let step = 0; step < count; step++) {
        try {
          clock.time += 50 + random.int(600);
          if (random.chance(0.03)) presence = open(reopen(), clock);
          const node = random.pick(["n1", "n2", "n3"]);
          const number = random.int(12);
          const one = session(
            `s${number}`,
            number % 4 === 0 ? "" : `u${number % 4}`,
            number % 3 === 0 ? "" : "c",
          );
          let changes: (PresenceChange | undefined)[];
          let expected: string[];
          const except = new Set(random.chance(0.5) ? ["s1", "s2", "s3", "s4"] : []);
          // Which of two sessions of one member is lost first is nobody's affair.
          const losing = sessions.filter((row) => row.node === node && !except.has(row.id));
          const clear = new Set(losing.map(({ name }) => name)).size === losing.length;
          const kind = random.int(10);
          if (kind < 4) {
            changes = [presence.join(node, one)];
            expected = join(node, one);
          } else if (kind < 7) {
            const clean = random.chance(0.5);
            changes = [presence.leave(one.sessionId, clean)];
            expected = leave(one.sessionId, clean);
          } else if (kind < 8 && clear) {
            changes = presence.lost(node, except);
            expected = lost(node, except);
          } else {
            changes = presence.expire();
            expected = expire();
          }
          // Several that end in one step may be told in any order.
          expect(told(...changes).sort()).toEqual(expected.sort());
          for (const change of changes) {
            if (change === undefined) continue;
            expect(change.generation).toBeGreaterThan(last);
            last = change.generation;
          }
          const { members, total } = presence.snapshot(100);
          expect(members.map(nameOf)).toEqual(order);
          expect(total).toBe(order.length);
          const leaving = sessions.flatMap((row) => row.leaving ?? []);
          expect(presence.nextExpiry).toBe(leaving.length > 0 ? Math.min(...leaving) : undefined);
          const rows = [...store.sessions()].map((row) => [row.sessionId, row.node, row.leaving]);
          expect(rows.sort()).toEqual(
            sessions.map((row) => [row.id, row.node, row.leaving]).sort(),
          );
        } catch (error) {
          throw new Error(`MESSAGELOOP_TEST_SEED=${first}, step ${step}: ${String(error)}`, {
            cause: error,
          });
        }
      }
    }));
}

interface ModelSession {
  readonly id: string;
  readonly name: string;
  node: string;
  leaving: number | undefined;
}
