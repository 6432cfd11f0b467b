/** A queue that outlives its page: reloads, crashes, several tabs, pages that are left and come back, and other users. */
import { describe, expect, test } from "vitest";
import { eachStep, steps } from "../../support/random.ts";
import { Browser, inStep, type Page, type TestSession, WINDOW_MS } from "./scene.ts";

const LIMIT_MS = WINDOW_MS - 30_000;
const HOUR_MS = 3_600_000;

/** A page whose user is connected, and what it had to send first. */
async function connected(browser: Browser, page: Page, user?: string): Promise<TestSession> {
  const session = page.open(user);
  await browser.clock.advance(0);
  return session;
}

function answerAll(session: TestSession): void {
  for (const one of session.sent) one.answer();
}

test("what waited in a page that is gone is sent by the next, before its own", async () => {
  const browser = new Browser();
  const first = browser.page();
  (await connected(browser, first)).lose(first.queue);
  for (const id of ["a", "b"]) first.add(id);
  await browser.clock.advance(10);
  first.end();
  const second = browser.page();
  second.add("c");
  await browser.clock.advance(HOUR_MS - 1_000);
  const session = second.open();
  second.add("d");
  await browser.clock.advance(0);
  expect(session.ids).toEqual(["a", "b", "c", "d"]);
  answerAll(session);
  await browser.clock.advance(0);
  expect(second.of).toEqual({ c: "3", d: "4" });
  expect(browser.items.size).toBe(0);
  expect([...first.reports, ...second.reports]).toEqual([]);
});

test("a reload in the middle of a send sends it again, as what may be there", async () => {
  const browser = new Browser();
  const first = browser.page();
  const session = await connected(browser, first);
  for (const id of ["arrived", "lost", "done"]) first.add(id);
  session.sent[0]?.arrive();
  session.sent[2]?.answer();
  await browser.clock.advance(0);
  first.end();
  const second = browser.page();
  const again = await connected(browser, second);
  expect(again.ids).toEqual(["arrived again", "lost again"]);
  answerAll(again);
  await browser.clock.advance(0);
  expect(browser.server.log.map(({ id }) => id)).toEqual(["arrived", "done", "lost"]);
  expect(browser.items.size).toBe(0);
});

test("not so when the server may have forgotten it: that is reported, once", async () => {
  const browser = new Browser();
  const first = browser.page();
  await connected(browser, first);
  first.add("a");
  await browser.clock.advance(0);
  first.end();
  await browser.clock.advance(LIMIT_MS);
  const second = browser.page();
  expect((await connected(browser, second)).ids).toEqual([]);
  expect(second.reports.map(({ code }) => code)).toEqual(["OUTCOME_UNKNOWN"]);
  second.end();
  const third = browser.page();
  expect((await connected(browser, third)).ids).toEqual([]);
  expect(third.reports).toEqual([]);
});

test("a device's clock that is set back an hour makes nothing young again", async () => {
  const browser = new Browser();
  const first = browser.page();
  await connected(browser, first);
  first.add("sent");
  first.lose();
  first.add("waits");
  await browser.clock.advance(0);
  first.end();
  const set = (ms: number): void => {
    browser.clock.set(browser.clock.now() + ms);
    browser.server.ahead -= ms;
  };
  set(-HOUR_MS);
  await browser.clock.advance(LIMIT_MS);
  const second = browser.page();
  const session = await connected(browser, second);
  expect(session.ids).toEqual(["waits"]);
  expect(second.reports.map(({ code }) => code)).toEqual(["OUTCOME_UNKNOWN"]);
  second.end();
  // Nor does one that is set ahead make anything old.
  set(2 * HOUR_MS);
  const third = browser.page();
  expect((await connected(browser, third)).ids).toEqual(["waits again"]);
});

test("the clocks of two servers may differ by seconds", async () => {
  const browser = new Browser();
  const first = browser.page();
  await connected(browser, first);
  first.add("sent");
  await browser.clock.advance(10);
  first.end();
  browser.server.ahead -= 25_000;
  expect((await connected(browser, browser.page())).ids).toEqual(["sent again"]);
});

test("a server whose clock is slower than that of the one before says nothing of an age", async () => {
  const browser = new Browser();
  const first = browser.page();
  await connected(browser, first);
  first.add("sent");
  await browser.clock.advance(0);
  first.end();
  browser.server.ahead -= 60_000;
  const second = browser.page();
  expect((await connected(browser, second)).ids).toEqual([]);
  expect(second.reports.map(({ code }) => code)).toEqual(["OUTCOME_UNKNOWN"]);
});

test("no user sends what another one has left, which is sent when that one is back", async () => {
  const browser = new Browser();
  const page = browser.page();
  const ada = await connected(browser, page, "ada");
  page.add("sent");
  ada.sent[0]?.arrive();
  page.lose();
  page.add("waits");
  const bob = await connected(browser, page, "bob");
  page.add("bob's");
  expect(page.of).toEqual({ sent: "OUTCOME_UNKNOWN", waits: "OUTCOME_UNKNOWN", "bob's": "waits" });
  expect(bob.ids).toEqual(["bob's"]);
  answerAll(bob);
  await browser.clock.advance(0);
  expect((await connected(browser, browser.page(), "bob")).ids).toEqual([]);
  expect((await connected(browser, browser.page(), "")).ids).toEqual([]);
  // Another page of ada's, and not only this one, may send it meanwhile.
  const back = await connected(browser, browser.page(), "ada");
  expect(back.ids).toEqual(["sent again", "waits"]);
  answerAll(back);
  await browser.clock.advance(0);
  page.lose();
  expect((await connected(browser, page, "ada")).ids).toEqual([]);
  expect(browser.items.size).toBe(0);
});

test("a user that logs out and in again on one page finds it there", async () => {
  const browser = new Browser();
  const page = browser.page();
  await connected(browser, page, "ada");
  page.lose();
  page.add("a");
  for (const user of ["bob", ""]) {
    expect((await connected(browser, page, user)).ids).toEqual([]);
    page.lose();
  }
  expect((await connected(browser, page, "ada")).ids).toEqual(["a"]);
});

test("another address has items of its own", async () => {
  const browser = new Browser();
  const page = browser.page({}, "wss://one.example/ws");
  await connected(browser, page);
  page.lose();
  page.add("a");
  await browser.clock.advance(0);
  page.end();
  const other = browser.page({}, "wss://two.example/ws");
  expect((await connected(browser, other)).ids).toEqual([]);
  expect((await connected(browser, browser.page({}, "wss://one.example/ws"))).ids).toEqual(["a"]);
});

describe("the end of a client", () => {
  test("leaves what waits to the next", async () => {
    const browser = new Browser();
    const page = browser.page();
    await connected(browser, page);
    page.lose();
    page.add("a");
    await page.queue.close(false);
    // What will become of it is another page's matter.
    expect(page.of).toEqual({ a: "OUTCOME_UNKNOWN" });
    expect(browser.locks.size).toBe(0);
    expect((await connected(browser, browser.page())).ids).toEqual(["a"]);
  });

  test("removes all of its user where it forgets, and nothing of others", async () => {
    const browser = new Browser();
    for (const user of ["ada", "bob"]) {
      const page = browser.page();
      await connected(browser, page, user);
      page.lose();
      page.add(`${user}'s`);
      await browser.clock.advance(0);
      page.end();
    }
    const page = browser.page();
    const session = await connected(browser, page, "ada");
    expect(session.ids).toEqual(["ada's"]);
    await page.queue.close(true);
    expect(browser.ids).toEqual(["bob's"]);
    expect(browser.locks.size).toBe(0);
    expect((await connected(browser, browser.page(), "ada")).ids).toEqual([]);
    expect((await connected(browser, browser.page(), "bob")).ids).toEqual(["bob's"]);
  });

  test("also forgets what it has left before", async () => {
    const browser = new Browser();
    const page = browser.page();
    await connected(browser, page);
    page.lose();
    page.add("a");
    await page.queue.close(false);
    expect(browser.ids).toEqual(["a"]);
    await page.queue.close(true);
    expect(browser.ids).toEqual([]);
    expect(page.reports).toEqual([]);
  });

  test("is not held up by a store that does not answer", async () => {
    const browser = new Browser();
    const page = browser.page();
    await connected(browser, page);
    page.add("a");
    page.store.gone = false;
    browser.delay = () => Number.POSITIVE_INFINITY;
    page.store.end = () => new Promise(() => {});
    let ended = false;
    const end = page.queue.close(false).then(() => {
      ended = true;
    });
    await browser.clock.advance(999);
    expect(ended).toBe(false);
    await browser.clock.advance(1);
    await end;
  });
});

describe("several tabs", () => {
  test("each sends its own, and what one leaves another takes within half a minute", async () => {
    const browser = new Browser();
    const [one, two, three] = [browser.page(), browser.page(), browser.page()];
    await connected(browser, one);
    one.lose();
    one.add("a");
    await browser.clock.advance(0);
    const second = await connected(browser, two);
    const third = await connected(browser, three);
    await browser.clock.advance(60_000);
    expect([...second.ids, ...third.ids]).toEqual([]);
    one.end();
    await browser.clock.advance(30_000);
    expect([...second.ids, ...third.ids]).toEqual(["a"]);
  });

  test("a page that was left has given up what it had, and hears of it when it is back", async () => {
    const browser = new Browser();
    const [one, two] = [browser.page(), browser.page()];
    await connected(browser, one);
    one.lose();
    for (const id of ["a", "b"]) one.add(id);
    await browser.clock.advance(0);
    one.leave();
    const other = await connected(browser, two);
    expect(other.ids).toEqual(["a", "b"]);
    other.sent[0]?.answer();
    await browser.clock.advance(0);
    one.back();
    const session = one.open();
    one.add("c");
    await browser.clock.advance(0);
    expect(session.ids).toEqual(["c"]);
    expect(one.of).toEqual({ a: "OUTCOME_UNKNOWN", b: "OUTCOME_UNKNOWN", c: "waits" });
  });

  test("what a page adds or is done with while it looks for what others have left stays its own", async () => {
    const browser = new Browser();
    browser.delay = () => 3;
    const [one, two, three] = [browser.page(), browser.page(), browser.page()];
    for (const page of [one, three]) {
      await connected(browser, page);
      page.lose();
      page.add(page === one ? "left" : "alive");
      await browser.clock.advance(0);
    }
    const session = await connected(browser, two);
    two.add("early");
    session.sent[0]?.answer();
    await browser.clock.advance(29_999);
    one.end();
    const looking = browser.clock.advance(1);
    for (let turn = 0; turn < 40; turn++) {
      two.add(`${turn}`);
      session.sent.at(-1)?.answer();
      await Promise.resolve();
    }
    await looking;
    answerAll(session);
    await browser.clock.advance(60_000);
    const ids = Array.from({ length: 40 }, (_, turn) => `${turn}`);
    expect(session.ids.toSorted()).toEqual(["early", "left", ...ids].toSorted());
    expect(browser.ids).toEqual(["alive"]);
  });

  test("an item that comes back from a page that has sent it and gone may have been published", async () => {
    const browser = new Browser();
    const [one, two] = [browser.page(), browser.page()];
    await connected(browser, one);
    one.lose();
    one.add("a");
    await browser.clock.advance(0);
    one.leave();
    expect((await connected(browser, two)).ids).toEqual(["a"]);
    two.end();
    one.back();
    const session = await connected(browser, one);
    expect(session.ids).toEqual(["a again"]);
    answerAll(session);
    await browser.clock.advance(0);
    expect(one.of).toEqual({ a: "1" });
  });

  test("a page that was left and back before anybody else came goes on with its own", async () => {
    const browser = new Browser();
    const page = browser.page();
    await connected(browser, page);
    page.add("sent");
    page.leave();
    page.add("meanwhile");
    page.back();
    page.add("later");
    const session = await connected(browser, page);
    expect(session.ids).toEqual(["sent again", "meanwhile", "later"]);
    answerAll(session);
    await browser.clock.advance(0);
    expect(page.of).toEqual({ sent: "1", meanwhile: "2", later: "3" });
    expect(browser.items.size).toBe(0);
    expect(browser.locks.size).toBe(1);
  });

  test("a lock is never held by a page that was left", async () => {
    const browser = new Browser();
    const page = browser.page();
    page.add("early");
    const session = page.open();
    // While it is still getting its name.
    page.leave();
    await browser.clock.advance(10);
    expect(session.ids).toEqual([]);
    expect(browser.locks.size).toBe(0);
    expect((await connected(browser, browser.page())).ids).toEqual(["early"]);
  });
});

describe("a store that fails", () => {
  test("has no room: that is reported once, and what it is about is sent from memory", async () => {
    const browser = new Browser();
    const page = browser.page();
    await connected(browser, page);
    page.lose();
    page.add("kept");
    await browser.clock.advance(0);
    browser.full = true;
    for (const id of ["a", "b"]) page.add(id);
    await browser.clock.advance(0);
    expect(page.reports.map(({ code }) => code)).toEqual(["TOO_LARGE"]);
    expect(page.reports[0]?.cause).toMatchObject({ name: "QuotaExceededError" });
    const session = await connected(browser, page);
    expect(session.ids).toEqual(["kept", "a", "b"]);
    // What is kept says that it was never sent, and could not be changed.
    expect(browser.items.size).toBe(0);
    answerAll(session);
    await browser.clock.advance(0);
    expect(page.of).toEqual({ kept: "1", a: "2", b: "3" });
  });

  test("is not there: that is reported once, and the queue works from memory", async () => {
    const browser = new Browser();
    browser.missing = true;
    const page = browser.page();
    const session = await connected(browser, page);
    page.add("a");
    page.lose();
    page.add("b");
    const again = await connected(browser, page);
    expect([session.ids, again.ids]).toEqual([["a"], ["a again", "b"]]);
    expect(page.reports.map(({ code }) => code)).toEqual(["UNIMPLEMENTED"]);
    await page.queue.close(true);
  });

  test("does not answer: publishes wait two seconds for it and no longer", async () => {
    const browser = new Browser();
    const page = browser.page();
    page.store.open = () => new Promise(() => {});
    const session = page.open();
    page.add("a");
    await browser.clock.advance(1_999);
    expect(session.ids).toEqual([]);
    await browser.clock.advance(1);
    expect(session.ids).toEqual(["a"]);
  });
});

test("whatever tabs do, nothing is published twice or as another, and all that is kept is sent", async () => {
  let published = 0;
  let adopted = 0;
  const runs: Promise<void>[] = [];
  eachStep(200, (random, step) => {
    const run = async (): Promise<void> => {
      const browser = new Browser();
      browser.delay = () => random.int(5);
      const { clock, server } = browser;
      /** A life of a tab: the page in it, whether it is being left, and the user that is logged in. */
      const tabs = [0, 1, 2].map(() => ({ page: browser.page(), left: false, user: "ada" }));
      const owner = new Map<string, string>();
      const gone = new Set<string>();
      const reports: Page[] = [];
      let count = 0;
      for (let i = 0; i < 120; i++) {
        const tab = random.pick(tabs);
        const { page } = tab;
        const sent = page.session?.sent ?? [];
        const act = random.int(tab.left ? 2 : 9);
        if (tab.left && act === 0) {
          tab.left = false;
          page.back();
        } else if (act === 1) {
          // Closed, crashed or dropped from the cache: another page is opened in the tab.
          for (const id of Object.keys(page.of)) if (page.of[id] === "waits") gone.add(id);
          page.end();
          reports.push(page);
          Object.assign(tab, { page: browser.page(), left: false });
        } else if (act === 2 && !tab.left) {
          tab.left = true;
          page.leave();
        } else if (act === 3) page.lose();
        else if (act === 4) {
          if (page.session === undefined) {
            if (random.chance(0.2)) tab.user = random.pick(["ada", "bob"]);
            page.open(tab.user);
          }
        } else if (act > 4 && act < 7) {
          const id = `${count++}`;
          if (page.session !== undefined) owner.set(id, tab.user);
          page.add(id);
        } else if (sent.length > 0) {
          const one = random.pick(sent);
          if (random.chance(0.7)) one.answer();
          else one.arrive();
        }
        if (random.chance(0.5)) await clock.advance(random.pick([0, 0, 100, 5_000, 120_000]));
      }
      // In the end all users come back, one after the other, and all is answered.
      for (const tab of tabs) {
        if (tab.left) tab.page.back();
        tab.page.lose();
      }
      for (const user of ["ada", "bob"]) {
        for (const { page } of tabs) {
          const session = page.open(user);
          for (let i = 0; i < 4; i++) {
            await clock.advance(20_000);
            answerAll(session);
          }
          adopted += session.sent.filter(({ id }) => gone.has(id)).length;
          page.lose();
        }
      }
      const ids = server.log.map(({ id }) => id);
      expect(ids).toHaveLength(new Set(ids).size);
      // Two pages have never sent one item, though the server would have known it.
      expect(server.firsts).toHaveLength(new Set(server.firsts).size);
      for (const { id, user } of server.log) expect(owner.get(id) ?? user).toBe(user);
      expect(browser.ids).toEqual([]);
      for (const { page } of tabs) {
        expect(Object.values(page.of)).not.toContain("waits");
        for (const [id, became] of Object.entries(page.of)) {
          if (/^\d/.test(became)) expect(ids).toContain(id);
        }
      }
      published += ids.length;
    };
    runs.push(inStep(step, run()));
  });
  await Promise.all(runs);
  expect(published).toBeGreaterThan(steps(1_000));
  expect(adopted).toBeGreaterThan(steps(50));
});
