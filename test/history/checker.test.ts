/** The checker itself: what is right passes, and each way to be wrong is found by its own sentence. */
import { expect, test } from "vitest";
import {
  at,
  gap,
  good,
  page,
  quiet,
  RULES,
  read,
  returning,
  SLEEP_MS,
  Story,
  TTL_MS,
} from "./story.ts";

test("a history that is right has no problem", () => {
  expect(good().problems()).toEqual([]);
});

test("no message of it can be left out, repeated or exchanged", () => {
  const story = good();
  const { facts } = story;
  let changed = 0;
  facts.forEach(({ fact }, index) => {
    if (fact.kind !== "seen" || fact.fact.kind !== "message") return;
    const [one, next] = [facts[index], facts[index + 1]];
    if (one === undefined || next === undefined) return;
    const without = facts.toSpliced(index, 1);
    const twice = facts.toSpliced(index, 0, one);
    const exchanged = facts.toSpliced(index, 2, next, one);
    expect(story.problems(without), `without fact ${index}`).not.toEqual([]);
    expect(story.problems(twice), `fact ${index} twice`).not.toEqual([]);
    const same = next.fact.kind === "seen" && next.fact.who === fact.who;
    if (same) expect(story.problems(exchanged), `fact ${index} later`).not.toEqual([]);
    changed += 1;
  });
  expect(changed).toBe(18);
});

const RIGHT: Record<string, () => Story> = {
  "a transient channel that has slept": () => quiet(SLEEP_MS),
  "history was too short": () =>
    returning(2, 8)
      .messages("rita", 6, 8, true)
      .recovered("rita", at(8), gap("limit", at(2), at(5))),
  "history holds nothing that is old": () =>
    returning(2, 3)
      .wait(TTL_MS)
      .recovered("rita", at(3), gap("expired", at(2), at(3))),
  "history was removed": () =>
    returning(2, 3)
      .note({ kind: "trim", channel: "short", span: 1, done: false })
      .note({ kind: "trim", channel: "short", span: 1, done: true })
      .recovered("rita", at(3), gap("head_trimmed", at(2), at(3))),
  "a rewind": () =>
    returning(2, 5, { recover: false, since: undefined, rewind: 2 })
      .messages("rita", 4, 5, true)
      .recovered("rita", at(5)),
  "a position beyond the head": () =>
    returning(2, 3, { since: at(9) }).recovered("rita", at(3), gap("epoch_changed", at(9), at(3))),
  "a position of no log": () =>
    returning(2, 3, { since: at(3, "X") })
      .messages("rita", 1, 3, true)
      .recovered("rita", at(3), gap("epoch_changed", at(3, "X"), at(0))),
  "no position": () =>
    returning(2, 3, { since: undefined }).recovered(
      "rita",
      at(3),
      gap("unavailable", undefined, at(3)),
    ),
  "an older position, as asked for": () =>
    returning(2, 3, { since: at(1) })
      .messages("rita", 2, 3, true)
      .recovered("rita", at(3)),
  "catching up while live repeats what is asked for": () =>
    new Story()
      .subscribe("rita", at(0))
      .publish(1, 2)
      .messages("rita", 1, 2)
      .subscribe("rita", at(2), { recover: true, since: at(1) })
      .message("rita", 2, true)
      .recovered("rita", at(2))
      .publish(3, 3)
      .message("rita", 3)
      .settle(at(3)),
  "a log that was lost": () =>
    new Story()
      .subscribe("rita", at(0))
      .publish(1, 2)
      .messages("rita", 1, 2)
      .lose(1, false)
      .publish(1, 1, "B")
      .gap("rita", "epoch_changed", at(2), at(0, "B"))
      .message("rita", 1, false, "B")
      .settle(at(1, "B")),
  "a life of the log that is told of late, and led on from": () =>
    toldLate("rita")
      .gap("rita", "epoch_changed", at(0, "B"), at(0, "C"))
      .message("rita", 1, false, "C"),
  "the same to a client that knows no gaps": () => toldLate("emil").message("emil", 1, false, "C"),
  "a v1 event that is acknowledged while the log is being lost": () => {
    const story = new Story().publish(1, 1).lose(1, false);
    const attempt = story.send(story.event("x", { named: false }));
    return story.bareAck(attempt, 1).publish(1, 1, "B").settle(at(1, "B"));
  },
  "more is held back than is read again": () =>
    new Story()
      .subscribe("rita", at(0))
      .publish(1, 5)
      .gap("rita", "limit", at(0), at(2))
      .messages("rita", 3, 5, true)
      .settle(at(5)),
  "a repeated event of a life that has ended": () => {
    const story = new Story().subscribe("emil", at(0));
    const event = story.event("1");
    story.ack(story.send(event), 1).message("emil", 1).lose(1, false).publish(1, 1, "B");
    return story.message("emil", 1, false, "B").ack(story.send(event), 1, "A", true);
  },
  "a message of a life that is older than the loss to come has expired": () => {
    const story = new Story().publish(1, 1).lose(1, false).lose(1, true);
    story.note({ kind: "unknown", attempt: story.send(story.event("B1")) });
    return story
      .wait(TTL_MS)
      .lose(2, false)
      .subscribe("rita", at(1, "B"), { rewind: 5 })
      .recovered("rita", at(1, "B"));
  },
  "history of a long channel": () => page([3, 4, 5, 6], 6, new Story().in("short")),
  "one event published twice": () => {
    const story = new Story().subscribe("rita", at(0));
    const event = story.event("1");
    const [first, second] = [story.send(event), story.send(event)];
    return story.ack(second, 1).ack(first, 1, "A", true).message("rita", 1).settle(at(1));
  },
  "an outcome that stays unknown": () => {
    const story = new Story().subscribe("rita", at(0));
    const attempt = story.send(story.event("1"));
    return story.note({ kind: "unknown", attempt }).message("rita", 1).settle(at(1));
  },
  "a log that was lost, as long as it is empty, to a client that knows no gaps": () =>
    new Story()
      .subscribe("emil", at(0))
      .publish(1, 1)
      .message("emil", 1)
      .lose(1, false)
      .settle(at(0, "B")),
  "what was not heard in passing, to a client that knows no gaps": () =>
    new Story()
      .in("passing")
      .subscribe("emil", at(0))
      .subscribe("vera", undefined)
      .note({ kind: "fault", what: "" })
      .publish(1, 1)
      .settle(at(1)),
  "what was too much to wait for an acknowledgement, to a client that knows no gaps": () =>
    stormed(30_000).settle(at(40)),
};

/** Forty large events are published before a subscription is acknowledged, and what is not kept is let go. */
function stormed(padding: number): Story {
  const story = new Story().in("fleeting");
  const ask = { recover: false, since: undefined, rewind: 0 };
  story.see("emil", { kind: "subscribe", request: 900, ask });
  for (let n = 1; n <= 40; n++) story.ack(story.send(story.event(`${n}`, { padding })), n);
  return story.see("emil", { kind: "ack", position: at(0), error: undefined });
}

/** A log is lost twice. It is told of its second life when others know the third one, and all is over. */
function toldLate(who: string): Story {
  const ask = { recover: false, since: undefined, rewind: 0 };
  return new Story()
    .subscribe("vera", undefined)
    .publish(1, 1)
    .message("vera", 1)
    .lose(1, false)
    .lose(2, false)
    .see(who, { kind: "subscribe", request: 100, ask })
    .lose(1, true)
    .lose(2, true)
    .publish(1, 1, "C")
    .message("vera", 1, false, "C")
    .see(who, { kind: "ack", position: at(0, "B"), error: undefined });
}

test.each(Object.entries(RIGHT))("%s is right", (_, story) => {
  expect(story().problems()).toEqual([]);
});

/** Each with the sentence that it must be found by. */
const WRONG: Record<string, readonly [RegExp, () => Story]> = {
  "a transient channel that has lost itself": [/A has ended, and it was not lost/, () => quiet(1)],
  "a hole while live": [
    /A-2 comes behind A-0 without a gap/,
    () => new Story().subscribe("rita", at(0)).publish(1, 2).message("rita", 2),
  ],
  "a hole for a client that knows no gaps": [
    /1 to A-1 are missing and were not lost/,
    () => new Story().subscribe("emil", at(0)).publish(1, 2).message("emil", 2),
  ],
  "a hole at the beginning of a v1 client": [
    /1 to A-1 are missing and were not lost/,
    () => new Story().subscribe("vera", undefined).publish(1, 2).message("vera", 2),
  ],
  "a message twice": [
    /A-1 comes behind A-1/,
    () =>
      new Story().subscribe("vera", undefined).publish(1, 1).message("vera", 1).message("vera", 1),
  ],
  "the wrong order": [
    /A-1 comes behind A-2/,
    () => new Story().subscribe("emil", at(0)).publish(1, 2).message("emil", 2).message("emil", 1),
  ],
  "what is owed does not come": [
    /rita waits in vain: it is at A-0, and the head is A-1/,
    () => new Story().subscribe("rita", at(0)).publish(1, 1).settle(at(1)),
  ],
  "a v1 client is owed something": [
    /vera waits in vain: nothing came/,
    () => new Story().subscribe("vera", undefined).publish(1, 1).settle(at(1)),
  ],
  "what was not heard in passing is told who knows gaps": [
    /rita waits in vain: it is at A-0, and the head is A-1/,
    () =>
      new Story()
        .in("passing")
        .subscribe("rita", at(0))
        .note({ kind: "fault", what: "" })
        .publish(1, 1)
        .settle(at(1)),
  ],
  "what nothing kept from being heard is owed": [
    /emil waits in vain: it is at A-0, and the head is A-1/,
    () => new Story().in("passing").subscribe("emil", at(0)).publish(1, 1).settle(at(1)),
  ],
  "what could wait for an acknowledgement is owed": [
    /emil waits in vain: it is at A-0, and the head is A-40/,
    () => stormed(20_000).settle(at(40)),
  ],
  "what came behind an acknowledgement is owed": [
    /emil waits in vain: it is at A-0, and the head is A-41/,
    () => stormed(30_000).publish(41, 41).settle(at(41)),
  ],
  "a message before its acknowledgement": [
    /A-1 came without a subscription/,
    () => {
      const ask = { recover: false, since: undefined, rewind: 0 };
      return new Story()
        .see("rita", { kind: "subscribe", request: 1, ask })
        .publish(1, 1)
        .message("rita", 1);
    },
  ],
  "a message after the end": [
    /A-1 came without a subscription/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .see("rita", { kind: "unsubscribe" })
        .see("rita", { kind: "unsubscribed" })
        .publish(1, 1)
        .message("rita", 1),
  ],
  "two events at one position": [
    /A-1 is "1" and is seen as "2"/,
    () => {
      const story = new Story().subscribe("rita", at(0)).publish(1, 2);
      const event = { text: "2", id: "id-2", source: "/s", user: "ann" };
      return story.see("rita", { kind: "message", place: at(1), event, replay: false });
    },
  ],
  "an event that nobody published": [
    /"1" at A-1 was never published/,
    () => new Story().subscribe("rita", at(0)).message("rita", 1),
  ],
  "an event that has changed": [
    /is not what was published/,
    () => {
      const story = new Story().subscribe("rita", at(0)).publish(1, 1);
      const event = { text: "1", id: "id-1", source: "/s", user: "bob" };
      return story.see("rita", { kind: "message", place: at(1), event, replay: false });
    },
  ],
  "an event in the log twice": [
    /"1" stands at 1 and is seen at A-2/,
    () => {
      const story = new Story().subscribe("rita", at(0)).publish(1, 1).message("rita", 1);
      const event = { text: "1", id: "id-1", source: "/s", user: "ann" };
      return story.see("rita", { kind: "message", place: at(2), event, replay: false });
    },
  ],
  "a repeated event that is acknowledged elsewhere": [
    /"1" stands at 1 and is acknowledged at A-2/,
    () => {
      const story = new Story();
      const event = story.event("1");
      return story.ack(story.send(event), 1).ack(story.send(event), 2, "A", true);
    },
  ],
  "a repeated event that is called new": [
    /"1" is acknowledged as new twice/,
    () => {
      const story = new Story();
      const event = story.event("1");
      return story.ack(story.send(event), 1).ack(story.send(event), 1);
    },
  ],
  "a new event that is called repeated": [
    /"1" is called repeated and was sent once/,
    () => {
      const story = new Story();
      return story.ack(story.send(story.event("1")), 1, "A", true);
    },
  ],
  "an acknowledged event that is not in the log": [
    /2 was acknowledged, and the log ends at 1/,
    () => new Story().publish(1, 2).settle(at(1)),
  ],
  "a seen event that is not in the log": [
    /1 was seen, and the log ends at 0/,
    () => {
      const story = new Story().subscribe("rita", at(0));
      story.note({ kind: "unknown", attempt: story.send(story.event("1")) });
      return story.message("rita", 1).settle(at(0));
    },
  ],
  "a v1 event that is acknowledged elsewhere": [
    /"1" stands at 2 and is seen at A-1/,
    () => {
      const story = new Story().subscribe("rita", at(0));
      const attempt = story.send(story.event("1", { named: false }));
      return story.bareAck(attempt, 2).message("rita", 1);
    },
  ],
  "a v1 event that is acknowledged and missing": [
    /"x" was acknowledged at 1 and is not there/,
    () => {
      const story = new Story();
      const attempt = story.send(story.event("x", { named: false }));
      return story.bareAck(attempt, 1).publish(1, 1).settle(at(1));
    },
  ],
  "a v1 event that is acknowledged after a loss and missing": [
    /"x" was acknowledged at 1 and is not there/,
    () => {
      const story = new Story().publish(1, 1).lose(1, false).lose(1, true);
      const attempt = story.send(story.event("x", { named: false }));
      return story.bareAck(attempt, 1).publish(1, 1, "B").settle(at(1, "B"));
    },
  ],
  "a publish that overtakes an acknowledged one": [
    /"late" is acknowledged at A-2 and was sent when 3 was acknowledged/,
    () => {
      const story = new Story().publish(1, 1).publish(3, 3);
      return story.ack(story.send(story.event("late")), 2);
    },
  ],
  "a publish that is refused": [
    /a publish was refused with BAD_REQUEST/,
    () => {
      const story = new Story();
      const attempt = story.send(story.event("1"));
      return story.note({ kind: "refused", attempt, code: "BAD_REQUEST" });
    },
  ],
  "a head that lies behind what is acknowledged": [
    /the head is told as A-1, and 2 was acknowledged/,
    () => new Story().publish(1, 2).subscribe("rita", at(1)),
  ],
  "a head that lies ahead": [
    /the head is told as A-2, which is not published yet/,
    () => new Story().publish(1, 1).subscribe("rita", at(2)).publish(2, 2),
  ],
  "a subscription that is refused": [
    /the subscription is refused with BAD_REQUEST/,
    () => {
      const ask = { recover: false, since: undefined, rewind: 0 };
      return new Story()
        .see("rita", { kind: "subscribe", request: 1, ask })
        .see("rita", { kind: "ack", position: undefined, error: "BAD_REQUEST" });
    },
  ],
  "nothing is missed, they say": [
    /a hole is not told/,
    () => returning(2, 4).message("rita", 4, true).recovered("rita", at(4)),
  ],
  "nothing at all is replayed": [
    /a hole is not told/,
    () => returning(2, 4).recovered("rita", at(4)),
  ],
  "a hole in the replay": [
    /A-5 is replayed behind A-3/,
    () => returning(2, 5).message("rita", 3, true).message("rita", 5, true),
  ],
  "what was known is replayed": [
    /what was known is replayed/,
    () => returning(2, 3).messages("rita", 2, 3, true).recovered("rita", at(3)),
  ],
  "a live message before the verdict": [
    /A-4 came live before the verdict/,
    () => returning(2, 3).message("rita", 3, true).publish(4, 4).message("rita", 4),
  ],
  "two verdicts": [
    /a verdict that nobody waits for/,
    () =>
      returning(2, 3).message("rita", 3, true).recovered("rita", at(3)).recovered("rita", at(3)),
  ],
  "a hole behind the verdict": [
    /A-5 comes behind A-3 without a gap/,
    () =>
      returning(2, 3)
        .message("rita", 3, true)
        .recovered("rita", at(3))
        .publish(4, 5)
        .message("rita", 5),
  ],
  "a verdict beyond the head": [
    /the verdict goes beyond the head/,
    () => returning(2, 3).message("rita", 3, true).recovered("rita", at(4)),
  ],
  "trimmed, and it is there": [
    /history of 4 holds 3 while the head is at most 4/,
    () =>
      returning(2, 4)
        .message("rita", 4, true)
        .recovered("rita", at(4), gap("head_trimmed", at(2), at(3))),
  ],
  "expired, and it is young": [
    /history holds 60000 ms/,
    () =>
      returning(2, 8)
        .messages("rita", 5, 8, true)
        .recovered("rita", at(8), gap("expired", at(2), at(4))),
  ],
  "trimmed more than is gone": [
    /history of 4 holds 5 while the head is at most 8/,
    () =>
      returning(2, 8)
        .messages("rita", 6, 8, true)
        .recovered("rita", at(8), gap("head_trimmed", at(2), at(5))),
  ],
  "a limit that is not reached": [
    /the limit is 3, and 2 were replayed/,
    () =>
      returning(2, 8)
        .messages("rita", 7, 8, true)
        .recovered("rita", at(8), gap("limit", at(2), at(6))),
  ],
  "unavailable without a reason": [
    /nothing kept the log from answering/,
    () => returning(2, 3).recovered("rita", at(3), gap("unavailable", at(2), at(3))),
  ],
  "a gap without a hole": [
    /nothing is missing, and a gap is told/,
    () =>
      returning(2, 3)
        .message("rita", 3, true)
        .recovered("rita", at(3), gap("head_trimmed", at(2), at(2))),
  ],
  "a gap that ends elsewhere": [
    /the gap and the replay do not join/,
    () =>
      returning(2, 8)
        .messages("rita", 5, 8, true)
        .recovered("rita", at(8), gap("head_trimmed", at(2), at(3))),
  ],
  "a gap that begins elsewhere": [
    /the gap begins elsewhere/,
    () =>
      returning(2, 8)
        .messages("rita", 5, 8, true)
        .recovered("rita", at(8), gap("head_trimmed", at(3), at(4))),
  ],
  "a changed epoch that has not changed": [
    /the epoch has not changed/,
    () => returning(2, 3).recovered("rita", at(3), gap("epoch_changed", at(2), at(3))),
  ],
  "a position beyond the head is right, they say": [
    /the position is of no such log/,
    () => returning(2, 3, { since: at(9) }).recovered("rita", at(3)),
  ],
  "a position of another epoch is right, they say": [
    /the position is of no such log/,
    () => returning(2, 3, { since: at(3, "X") }).recovered("rita", at(3)),
  ],
  "another epoch, and what is there is not replayed": [
    /what is there is not replayed/,
    () =>
      returning(2, 3, { since: at(1, "X") }).recovered(
        "rita",
        at(3),
        gap("epoch_changed", at(1, "X"), at(3)),
      ),
  ],
  "without a position nothing is missed, they say": [
    /nothing was known, and that is not told/,
    () => returning(2, 3, { since: undefined }).recovered("rita", at(3)),
  ],
  "a transient channel that recovers": [
    /a channel without recovery has recovered/,
    () =>
      new Story()
        .in("fleeting")
        .publish(1, 1)
        .subscribe("rita", at(1), { recover: true, since: at(1) })
        .recovered("rita", at(1)),
  ],
  "a rewind that is too short": [
    /what is there is not replayed/,
    () =>
      returning(2, 5, { recover: false, since: undefined, rewind: 2 })
        .message("rita", 5, true)
        .recovered("rita", at(5)),
  ],
  "a rewind of a life that is younger than what expires": [
    /what is there is not replayed/,
    () => {
      const story = new Story().publish(1, 1).wait(TTL_MS).lose(1, false).lose(1, true);
      story.note({ kind: "unknown", attempt: story.send(story.event("B1")) });
      story.subscribe("rita", at(1, "B"), { rewind: 5 });
      return story.recovered("rita", at(1, "B"));
    },
  ],
  "a rewind that is too long": [
    /more is replayed than was asked for/,
    () =>
      returning(2, 5, { recover: false, since: undefined, rewind: 1 })
        .messages("rita", 4, 5, true)
        .recovered("rita", at(5)),
  ],
  "a rewind with a gap": [
    /a rewind has a gap that it cannot have/,
    () =>
      returning(2, 5, { recover: false, since: undefined, rewind: 1 })
        .message("rita", 5, true)
        .recovered("rita", at(5), gap("expired", undefined, at(4))),
  ],
  "a log that begins anew without a loss": [
    /the log has begun anew, A to B, and nothing was lost/,
    () => new Story().in("short").publish(1, 1).publish(1, 1, "B"),
  ],
  "another epoch without a gap": [
    /B-1 comes behind A-1 without a gap/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 1)
        .message("rita", 1)
        .lose(1, false)
        .publish(1, 1, "B")
        .message("rita", 1, false, "B"),
  ],
  "another epoch with the wrong reason": [
    /a gap head_trimmed leads to another epoch/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 1)
        .message("rita", 1)
        .lose(1, false)
        .publish(1, 1, "B")
        .gap("rita", "head_trimmed", at(1), at(0, "B"))
        .message("rita", 1, false, "B"),
  ],
  "back to an epoch that has ended": [
    /A-1 comes behind B-1, which is of a later epoch/,
    () =>
      new Story()
        .subscribe("emil", at(0))
        .publish(1, 1)
        .lose(1, false)
        .publish(1, 1, "B")
        .message("emil", 1, false, "B")
        .message("emil", 1),
  ],
  "back to an epoch that ended before it subscribed": [
    /A-1 comes behind B-1, which is of a later epoch/,
    () =>
      new Story()
        .publish(1, 1)
        .lose(1, false)
        .publish(1, 1, "B")
        .subscribe("emil", at(1, "B"))
        .message("emil", 1),
  ],
  "back to an epoch that it has left": [
    /a gap leads from B-0 back to A-1/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 1)
        .message("rita", 1)
        .lose(1, false)
        .gap("rita", "epoch_changed", at(1), at(0, "B"))
        .gap("rita", "epoch_changed", at(0, "B"), at(1)),
  ],
  "an epoch that was told of long after the last loss and has ended": [
    /B has ended, and it was not lost/,
    () =>
      new Story()
        .publish(1, 1)
        .lose(1, false)
        .lose(1, true)
        .wait(60_000)
        .subscribe("rita", at(0, "B"))
        .gap("rita", "epoch_changed", at(0, "B"), at(0, "C")),
  ],
  "an epoch that has taken an event after the last loss and has ended": [
    /B has ended, and it was not lost/,
    () =>
      new Story()
        .publish(1, 1)
        .lose(1, false)
        .lose(1, true)
        .publish(1, 1, "B")
        .subscribe("rita", at(1, "B"))
        .gap("rita", "epoch_changed", at(1, "B"), at(0, "C")),
  ],
  "a log that is forgotten while somebody listens": [
    /A has ended, and it was not lost/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 1)
        .message("rita", 1)
        .wait(RULES.positionTtlMs)
        .publish(1, 1, "B")
        .gap("rita", "epoch_changed", at(1), at(0, "B")),
  ],
  "a gap while live, and nothing was lost": [
    /a gap head_trimmed until A-1: history of 100/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 2)
        .gap("rita", "head_trimmed", at(0), at(1))
        .message("rita", 2),
  ],
  "a limit while live that was not reached": [
    /a gap limit until A-2: the limit is 3, and 2 follow at most/,
    () =>
      new Story()
        .subscribe("rita", at(0))
        .publish(1, 4)
        .gap("rita", "limit", at(0), at(2))
        .messages("rita", 3, 4, true)
        .publish(5, 5)
        .message("rita", 5),
  ],
  "history with a hole": [/A-3 stands behind A-1/, () => page([1, 3], 3)],
  "history that ends too early": [/it ends with A-2, and the head is A-3/, () => page([1, 2], 3)],
  "history that begins too late": [/A-1 is missing/, () => page([2, 3], 3)],
  "history that is too long": [
    /A-1 is still there: history of 4 ends with A-5/,
    () => page([1, 2, 3, 4, 5], 5, new Story().in("short")),
  ],
  "history that is too old": [
    /A-1 is still there: it is at least/,
    () => read(new Story().publish(1, 1).wait(2 * TTL_MS), [1], 1),
  ],
  "history that was removed": [
    /A-1 is still there: it was removed/,
    () => {
      const story = new Story().publish(1, 1);
      story.note({ kind: "trim", channel: "room", span: 1, done: false });
      story.note({ kind: "trim", channel: "room", span: 1, done: true });
      return read(story.wait(10), [1], 1);
    },
  ],
  "history of a transient channel": [
    /A-1 is still there: nothing is kept here/,
    () => page([1], 1, new Story().in("fleeting")),
  ],
};

test.each(Object.entries(WRONG))("found: %s", (_, [sentence, story]) => {
  const problems = story().problems();
  expect(
    problems.filter((problem) => sentence.test(problem)),
    problems.join("\n"),
  ).not.toEqual([]);
});
