/** Who listens on a node: what thousands of sessions of one channel cost those that come after them. */
import { expect, test } from "vitest";
import { ChannelSubscription } from "../../src/engine/subscription/channel-subscription.ts";
import { Hub } from "../../src/engine/subscription/hub.ts";
import type { Subscriber } from "../../src/engine/subscription/listener.ts";
import { PatternFeed } from "../../src/engine/subscription/pattern-feed.ts";

const NAME = "room";

class Subscribers {
  readonly hub = new Hub({ count: () => {}, checkRoom: () => {} } as never);
  looks = 0;

  subscriber(follows: boolean): Subscriber {
    const looked = (): boolean => {
      this.looks += 1;
      return follows;
    };
    const subscriber: Partial<Subscriber> = {
      get followsPresence() {
        return looked();
      },
    };
    return subscriber as Subscriber;
  }

  add(subscriber: Subscriber): void {
    const terms = { channel: NAME, origin: "client", ephemeral: false } as const;
    this.hub.add(new ChannelSubscription(subscriber, this.hub.tally, terms));
    const feed = new PatternFeed(subscriber, this.hub.tally);
    this.hub.addPattern({ pattern: "*", origin: "client", granted: true, live: true, feed });
  }

  remove(subscriber: Subscriber): void {
    this.hub.remove(subscriber, NAME);
    this.hub.removePattern(subscriber, "*");
  }

  get followed(): boolean {
    const { hub } = this;
    const followed = hub.hasPresenceFollower(NAME);
    expect(hub.hasPatternPresenceFollower("*")).toBe(followed);
    return followed;
  }
}

test("whether a session follows presence is known while sessions come, come again and go", () => {
  const all = new Subscribers();
  const [one, other, silent] = [true, true, false].map((follows) => all.subscriber(follows));
  if (one === undefined || other === undefined || silent === undefined) throw new Error("none");
  expect(all.followed).toBe(false);
  all.add(silent);
  expect(all.followed).toBe(false);
  all.add(one);
  all.add(one);
  all.add(other);
  expect(all.followed).toBe(true);
  all.remove(one);
  all.remove(one);
  expect(all.followed).toBe(true);
  all.remove(other);
  expect(all.followed).toBe(false);
  all.remove(silent);
  expect(all.followed).toBe(false);
});

test("a registration does not look at all the sessions that are there", () => {
  const all = new Subscribers();
  for (let i = 0; i < 1_000; i++) {
    all.add(all.subscriber(false));
    all.hub.hasPresenceFollower(NAME);
    all.hub.hasPatternPresenceFollower("*");
  }
  expect(all.looks).toBeLessThan(10_000);
});
