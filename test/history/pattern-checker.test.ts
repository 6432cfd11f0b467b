/** What the checker holds of patterns: what is right passes, and each way to be wrong is found by its own sentence. */
import { expect, test } from "vitest";
import { at, away, gap, RULES, Story, time } from "./story.ts";

const RIGHT: Record<string, () => Story> = {
  "a pattern that begins in the middle of a channel": () =>
    new Story()
      .publish(1, 2)
      .hear("rita", time(1))
      .hear("vera", undefined)
      .publish(3, 4)
      .messages("rita", 3, 4)
      .messages("vera", 3, 4)
      .settle(at(4)),
  "what was published before its acknowledgement, and came": () =>
    new Story()
      .publish(1, 2)
      .hear("rita", time(1))
      .message("rita", 2)
      .publish(3, 3)
      .message("rita", 3)
      .settle(at(3)),
  "a channel with a position": () =>
    away(2, 4, { since: time(1), positions: { short: at(2) } })
      .messages("rita", 3, 4, true)
      .recovered("rita", at(4))
      .heard("rita", time(2))
      .publish(5, 5)
      .message("rita", 5)
      .settle(at(5)),
  "a channel that has begun since, without a position": () =>
    new Story()
      .hear("rita", time(1))
      .note({ kind: "drop", who: "rita" })
      .publish(1, 2)
      .hear("rita", time(2), { since: time(1) })
      .messages("rita", 1, 2, true)
      .recovered("rita", at(2))
      .heard("rita", time(2)),
  "an older channel without a position": () =>
    away(2, 4, { since: time(1) })
      .messages("rita", 1, 4, true)
      .recovered("rita", at(4))
      .heard("rita", time(2)),
  "of an older channel what was published since": () =>
    new Story()
      .publish(1, 2)
      .hear("rita", time(1))
      .note({ kind: "drop", who: "rita" })
      .publish(3, 4)
      .hear("rita", time(2), { since: time(1) })
      .messages("rita", 3, 4, true)
      .recovered("rita", at(4), gap("unavailable", undefined, at(2)))
      .heard("rita", time(2)),
  "a channel that nothing was published to": () =>
    new Story()
      .publish(1, 2)
      .hear("rita", time(1))
      .note({ kind: "drop", who: "rita" })
      .hear("rita", time(2), { since: time(1) })
      .heard("rita", time(2))
      .publish(3, 3)
      .message("rita", 3)
      .settle(at(3)),
  "no position of the pattern": () =>
    away(2, 4, { positions: {} }).heard("rita", time(2), "unavailable"),
  "a transient channel without a position": () =>
    new Story()
      .in("fleeting")
      .hear("rita", time(1))
      .note({ kind: "drop", who: "rita" })
      .publish(1, 1)
      .hear("rita", time(2), { since: time(1) })
      .recovered("rita", at(1), gap("unavailable", undefined, at(1)))
      .heard("rita", time(2)),
  "a channel that is subscribed to by itself and left again": () =>
    new Story()
      .hear("rita", time(1))
      .publish(1, 1)
      .message("rita", 1)
      .subscribe("rita", at(1))
      .publish(2, 2)
      .message("rita", 2)
      .see("rita", { kind: "unsubscribe" })
      .see("rita", { kind: "unsubscribed" })
      .publish(3, 3)
      .message("rita", 3)
      .settle(at(3)),
  "a log that is forgotten although a pattern stands for it": () =>
    new Story()
      .hear("rita", time(1))
      .publish(1, 1)
      .message("rita", 1)
      .wait(RULES.positionTtlMs)
      .publish(1, 1, "B")
      .message("rita", 1, false, "B")
      .settle(at(1, "B")),
};

test.each(Object.entries(RIGHT))("%s is right", (_, story) => {
  expect(story().problems()).toEqual([]);
});

/** Each with the sentence that it must be found by. */
const WRONG: Record<string, readonly [RegExp, () => Story]> = {
  "what a pattern owes does not come": [
    /rita waits in vain: nothing came, and 3 was sent since/,
    () => new Story().publish(1, 2).hear("rita", time(1)).publish(3, 3).settle(at(3)),
  ],
  "a hole behind the acknowledgement": [
    /3 to A-3 are missing without a gap/,
    () => new Story().publish(1, 2).hear("rita", time(1)).publish(3, 4).message("rita", 4),
  ],
  "a hole behind the acknowledgement of a v1 client": [
    /3 to A-3 are missing and were not lost/,
    () => new Story().publish(1, 2).hear("vera", undefined).publish(3, 4).message("vera", 4),
  ],
  "a message of a pattern twice": [
    /A-1 comes behind A-1 without a gap/,
    () => new Story().hear("rita", time(1)).publish(1, 1).messages("rita", 1, 1).message("rita", 1),
  ],
  "a message without an acknowledgement": [
    /A-1 came without a subscription/,
    () => new Story().publish(1, 1).message("rita", 1),
  ],
  "a message of a pattern that has ended": [
    /A-1 came without a subscription/,
    () =>
      new Story()
        .hear("rita", time(1))
        .ofPattern("rita", { kind: "unsubscribe" })
        .ofPattern("rita", { kind: "unsubscribed" })
        .publish(1, 1)
        .message("rita", 1),
  ],
  "a position without a verdict": [
    /it has a position, and no verdict/,
    () =>
      away(2, 4, { since: time(1), positions: { short: at(2) } })
        .messages("rita", 3, 4, true)
        .heard("rita", time(2)),
  ],
  "a position with two verdicts": [
    /a verdict that nobody waits for/,
    () =>
      away(2, 2, { since: time(1), positions: { short: at(2) } })
        .recovered("rita", at(2))
        .recovered("rita", at(2)),
  ],
  "nothing is missed of a position, they say": [
    /a hole is not told/,
    () =>
      away(2, 4, { since: time(1), positions: { short: at(2) } })
        .message("rita", 4, true)
        .recovered("rita", at(4)),
  ],
  "a verdict that lies behind what was acknowledged": [
    /4 was acknowledged/,
    () =>
      away(2, 4, { since: time(1), positions: { short: at(2) } })
        .message("rita", 3, true)
        .recovered("rita", at(3)),
  ],
  "what comes live behind a verdict was replayed": [
    /A-4 comes behind A-4 without a gap/,
    () =>
      away(2, 4, { since: time(1), positions: { short: at(2) } })
        .messages("rita", 3, 4, true)
        .recovered("rita", at(4))
        .heard("rita", time(2))
        .message("rita", 4),
  ],
  "a channel without a position is not told": [
    /A-3 was missed, and nothing is told/,
    () =>
      new Story()
        .publish(1, 2)
        .hear("rita", time(1))
        .note({ kind: "drop", who: "rita" })
        .publish(3, 4)
        .hear("rita", time(2), { since: time(1) })
        .heard("rita", time(2)),
  ],
  "of an older channel all, they say": [
    /a hole is not told/,
    () =>
      away(2, 4, { since: time(1) })
        .messages("rita", 3, 4, true)
        .recovered("rita", at(4)),
  ],
  "of an older channel too little": [
    /what is there is not replayed/,
    () =>
      away(2, 4, { since: time(1) })
        .message("rita", 4, true)
        .recovered("rita", at(4), gap("unavailable", undefined, at(3))),
  ],
  "a log was lost since, and only the next one is told": [
    /A-1 was missed, and nothing is told/,
    () =>
      new Story()
        .hear("rita", time(1))
        .note({ kind: "drop", who: "rita" })
        .publish(1, 1)
        .note({ kind: "loss", channel: "room", span: 1, done: false })
        .note({ kind: "loss", channel: "room", span: 1, done: true })
        .publish(1, 1, "B")
        .hear("rita", time(2), { since: time(1) })
        .message("rita", 1, true, "B")
        .recovered("rita", at(1, "B"))
        .heard("rita", time(2)),
  ],
  "without a position of the pattern nothing is missed, they say": [
    /nothing was known, and that is not told/,
    () => away(2, 4, { positions: {} }).heard("rita", time(2)),
  ],
  "another life is right, they say": [
    /the position is of no such life/,
    () => away(2, 4, { since: at(1, "X") }).heard("rita", time(2)),
  ],
  "another life without a loss": [
    /what is remembered has begun anew, T to U/,
    () => new Story().hear("rita", time(1)).hear("emil", at(2, "U")),
  ],
  "a gap of the pattern without a reason": [
    /nothing kept channels from being named/,
    () => away(2, 2, { since: time(1) }).heard("rita", time(2), "unavailable"),
  ],
  "a time that has not come yet": [
    /a position lies \d+ ms ahead/,
    () => new Story().hear("rita", time(1_000_000)),
  ],
};

test.each(Object.entries(WRONG))("found: %s", (_, [sentence, story]) => {
  const problems = story().problems();
  expect(
    problems.filter((problem) => sentence.test(problem)),
    problems.join("\n"),
  ).not.toEqual([]);
});
