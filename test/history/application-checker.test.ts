/** What the checker makes of what an application saw by the SDK: what is right passes, and each way to be wrong is found. */
import { expect, test } from "vitest";
import type { ApplicationFact, Place } from "./facts.ts";
import { at, gap, Story } from "./story.ts";

/** A story whose subscriber is the application `ada`. */
class Tale extends Story {
  name = "room";
  who = "ada/1";

  tell(fact: ApplicationFact): this {
    return this.note({ kind: "application", who: this.who, name: this.name, fact });
  }

  subscribed(since?: Place): this {
    return this.tell({ kind: "subscribed", since });
  }

  /** Messages with these offsets. */
  gets(offsets: readonly number[], replay = false, epoch = "A"): this {
    for (const offset of offsets) {
      const text = epoch === "A" ? `${offset}` : `${epoch}${offset}`;
      const event = { text, id: `id-${text}`, source: "/s", user: "ann" };
      const place = { epoch, offset };
      this.tell({ kind: "message", channel: this.channel, place, event, replay });
    }
    return this;
  }

  misses(reason: string, after: Place | undefined, until: Place, channel = this.channel): this {
    return this.tell({ kind: "gap", channel, gap: gap(reason, after, until) });
  }

  losesAll(): this {
    return this.lose(1, false).lose(1, true);
  }
}

/** `short` holds four: the application left at 2 and comes back when the head is at 8. */
function back(): Tale {
  const tale = new Tale().in("short") as Tale;
  tale.name = "short";
  return tale.subscribed().publish(1, 2).gets([1, 2]).publish(3, 8);
}

const RIGHT: Readonly<Record<string, () => Story>> = {
  "messages in their order": () =>
    new Tale().subscribed().publish(1, 3).gets([1, 2, 3]).settle(at(3)),
  "those that were missed are replayed": () =>
    new Tale().publish(1, 2).subscribed().publish(3, 5).gets([3]).gets([4, 5], true).settle(at(5)),
  "it begins in the middle": () => new Tale().publish(1, 4).subscribed().settle(at(4)),
  "a gap before what follows": () =>
    back().misses("head_trimmed", at(2), at(4)).gets([5, 6, 7, 8], true).settle(at(8)),
  "a gap after what is replayed": () =>
    back().gets([5, 6, 7, 8], true).misses("head_trimmed", at(2), at(4)).settle(at(8)),
  "a replay that is cut short, and another one that holds less": () =>
    back()
      .gets([5, 6], true)
      .publish(9, 12)
      .gets([9, 10, 11, 12], true)
      .misses("head_trimmed", at(2), at(8))
      .settle(at(12)),
  "a replay that is cut short before its verdict": () =>
    back().gets([5, 6, 7, 8], true).misses("unavailable", at(2), at(4)).settle(at(8)),
  "a log that was lost": () =>
    new Tale()
      .subscribed()
      .publish(1, 2)
      .gets([1, 2])
      .losesAll()
      .publish(1, 2, "B")
      .gets([1, 2], true, "B")
      .misses("epoch_changed", at(2), at(0, "B"))
      .settle(at(2, "B")),
  "all since a place": () =>
    new Tale().publish(1, 4).subscribed(at(2)).gets([3, 4], true).settle(at(4)),
  "nothing is owed after the end": () =>
    new Tale().subscribed().publish(1, 1).tell({ kind: "ended" }).settle(at(1)),
  "a channel that has not answered goes on with what comes": () =>
    new Tale()
      .subscribed()
      .publish(1, 1)
      .gets([1])
      .publish(2, 3)
      .note({ kind: "fault", what: "x" })
      .tell({ kind: "gap", channel: "room", gap: gap("unavailable", at(1), at(1)) })
      .publish(4, 4)
      .gets([4])
      .settle(at(4)),
  "all channels of a pattern are lost after the time that it was heard last": () => {
    const tale = new Tale().losesAll();
    tale.name = "*";
    const heard = at(1_000, "T");
    return tale
      .subscribed()
      .misses("epoch_changed", heard, at(2, "U"), "*")
      .publish(1, 1)
      .gets([1]);
  },
  "a pattern hears the verdict on another subscription to a channel": () => {
    const tale = new Tale();
    tale.name = "*";
    return tale
      .subscribed()
      .publish(1, 2)
      .gets([1, 2])
      .misses("unavailable", undefined, at(2))
      .publish(3, 3)
      .gets([3])
      .settle(at(3));
  },
  "the beginning of a log that a pattern has not seen is gone": () => {
    const tale = new Tale().in("short") as Tale;
    tale.name = "*";
    return tale
      .subscribed()
      .publish(1, 6)
      .gets([3, 4, 5, 6], true)
      .misses("unavailable", undefined, at(2))
      .settle(at(6));
  },
  "a log that a pattern has not seen is older": () => {
    const tale = new Tale();
    tale.name = "*";
    return tale
      .publish(1, 2)
      .subscribed()
      .publish(3, 4)
      .gets([4], true)
      .misses("unavailable", undefined, at(3))
      .settle(at(4));
  },
  "a pattern whose channels were not known": () => {
    const tale = new Tale();
    tale.name = "*";
    return tale
      .subscribed()
      .publish(1, 2)
      .note({ kind: "fault", what: "x" })
      .misses("unavailable", at(1, "T"), at(2, "T"), "*")
      .publish(3, 3)
      .gets([3])
      .settle(at(3));
  },
};

test.each(Object.entries(RIGHT))("right: %s", (_, story) => {
  expect(story().problems()).toEqual([]);
});

const WRONG: Readonly<Record<string, readonly [story: () => Story, problem: string]>> = {
  "one is missing": [
    () => new Tale().subscribed().publish(1, 3).gets([1, 3]),
    "A-3 comes after A-1 without a gap",
  ],
  "one comes twice": [
    () => new Tale().subscribed().publish(1, 2).gets([1, 2, 2]),
    "A-2 comes after A-2",
  ],
  "one comes late": [
    () => new Tale().subscribed().publish(1, 2).gets([1]).gets([2], true).gets([1], true),
    "A-1 comes after A-2",
  ],
  "the first that is owed is missing": [
    () => new Tale().publish(1, 1).subscribed().publish(2, 3).gets([3]),
    "A-3 comes after nowhere without a gap",
  ],
  "what comes after a place is missing": [
    () => new Tale().publish(1, 4).subscribed(at(2)).gets([4]),
    "A-4 comes after A-2 without a gap",
  ],
  "the last is missing": [
    () => new Tale().subscribed().publish(1, 2).gets([1]).settle(at(2)),
    "ada/1 waits in vain: it is at A-1, and the head is A-2",
  ],
  "all are missing": [
    () => new Tale().subscribed().publish(1, 2).settle(at(2)),
    "ada/1 waits in vain: nothing came, and 1 was sent since",
  ],
  "what lies before a replay is never told": [
    () => back().gets([5, 6, 7, 8], true).settle(at(8)),
    "ada/1 waits in vain: what lies after A-2 until A-4 is not told",
  ],
  "it goes on live before a hole is told": [
    () => back().gets([5, 6, 7], true).gets([8]),
    "A-8 comes live, and what lies after A-2 until A-4 is not told",
  ],
  "what a gap says is missing is there": [
    () => new Tale().subscribed().publish(1, 3).gets([1]).misses("head_trimmed", at(1), at(2)),
    "a gap head_trimmed until A-2: history of 100 holds 2 while the head is at most 3",
  ],
  "a pattern is told of a loss that was before": [
    () => {
      const tale = new Tale().losesAll();
      tale.name = "*";
      const heard = at(100_000, "T");
      return tale.subscribed().misses("epoch_changed", heard, at(2, "U"), "*");
    },
    "ada/1 in *: nothing explains a gap epoch_changed",
  ],
  "all of a log that a pattern has not seen is there": [
    () => {
      const tale = new Tale();
      tale.name = "*";
      return tale.subscribed().publish(1, 4).misses("unavailable", undefined, at(4));
    },
    "a gap unavailable until A-4: nothing kept the log from answering",
  ],
  "nothing kept the log from answering": [
    () => new Tale().subscribed().publish(1, 3).gets([1]).misses("unavailable", at(1), at(2)),
    "a gap unavailable until A-2: nothing kept the log from answering",
  ],
  "what a replay leaves out is there": [
    () =>
      new Tale().subscribed().publish(1, 2).gets([2], true).misses("unavailable", undefined, at(1)),
    "what lies before a replay until A-1 was not lost: history of 100 holds 1",
  ],
  "a gap is told of what has come": [
    () => back().gets([3, 4], true).misses("head_trimmed", at(2), at(4)),
    "a gap head_trimmed until A-4 comes after A-4",
  ],
  "a gap begins after what has not come": [
    () => back().misses("head_trimmed", at(3), at(4)),
    "a gap head_trimmed begins after A-3, and A-2 was reached",
  ],
  "another life of the log comes without a word": [
    () =>
      new Tale()
        .subscribed()
        .publish(1, 1)
        .gets([1])
        .losesAll()
        .publish(1, 1, "B")
        .gets([1], false, "B"),
    "B-1 comes after A-1 without a gap",
  ],
  "a life of the log is over that was not lost": [
    () =>
      new Tale()
        .subscribed()
        .publish(1, 1)
        .gets([1])
        .losesAll()
        .publish(1, 1, "B")
        .misses("head_trimmed", at(1), at(0, "B")),
    "a gap head_trimmed leads from A-1 to B-0",
  ],
  "an earlier life of the log comes back": [
    () =>
      new Tale()
        .subscribed()
        .publish(1, 2)
        .gets([1])
        .losesAll()
        .publish(1, 1, "B")
        .misses("epoch_changed", at(1), at(0, "B"))
        .gets([1], false, "B")
        .misses("epoch_changed", at(1, "B"), at(1)),
    "B-1 is followed by A-1, which is over",
  ],
  "a message comes after the end": [
    () => new Tale().subscribed().publish(1, 1).tell({ kind: "ended" }).gets([1]),
    "a message came after the end",
  ],
  "a message comes before the subscription": [
    () => new Tale().publish(1, 1).gets([1]),
    "A-1 came without a subscription",
  ],
  "it is of another channel": [
    () => (new Tale().subscribed().in("short") as Tale).publish(1, 1).gets([1]),
    "it is not what was subscribed to",
  ],
  "it was never published": [
    () => new Tale().subscribed().gets([1]),
    '"1" at A-1 was never published',
  ],
  "its publisher was told that it was not sent": [
    () => {
      const tale = new Tale().subscribed();
      const attempt = tale.send(tale.event("1"));
      return tale.note({ kind: "unsent", attempt }).gets([1]);
    },
    '"1" at A-1 is told never to have been sent',
  ],
  "its publisher is told later that it was not sent": [
    () => {
      const tale = new Tale().subscribed();
      const attempt = tale.send(tale.event("1"));
      return tale.gets([1]).note({ kind: "unsent", attempt });
    },
    '"1" is told never to have been sent',
  ],
  "nothing explains what a pattern has missed": [
    () => {
      const tale = new Tale();
      tale.name = "*";
      return tale.subscribed().misses("unavailable", undefined, at(2, "T"), "*");
    },
    "nothing explains a gap unavailable",
  ],
};

test.each(Object.entries(WRONG))("wrong: %s", (_, [story, problem]) => {
  expect(story().problems().join("\n")).toContain(problem);
});
