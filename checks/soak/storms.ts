/**
 * What busy clients do to a server, one storm after the other: each is something that anonymous clients may do,
 * and says at its end how much of it there was. Figures are those at scale 1.
 */
import type { SubscriptionInit } from "../../test/support/client.ts";
import { event, Peer, publishing, subscribing, unsubscribing } from "./peer.ts";

export interface StormPlace {
  readonly port: number;
  /** Multiplies numbers and times. */
  readonly scale: number;
  /** Peers that are ended after the storm. */
  readonly peers: Peer[];
}

type Storm = (place: StormPlace) => Promise<string>;

/** How long a storm lasts that has no number of its own, in milliseconds. */
const LASTS_MS = 5_000;
/** Connections that are opened at the same time. */
const OPENING = 50;
const PAGE = 100;
const KEPT = 256;

/** Pages of history, all asked for at once by one client. */
async function historyReader(place: StormPlace): Promise<string> {
  const [peer] = await gather(place, 1, () => ["history.room"], ["history"]);
  await fill(peer, "history.room");
  const count = Math.round(2_000 * place.scale);
  const value = { channel: "history.room", limit: PAGE };
  const answers = times(count, () => peer.request({ envelope: { case: "historyRequest", value } }));
  return `${await answered(answers)} pages of ${PAGE} messages`;
}

/** Subscriptions that rewind, all asked for at once by one client. */
async function rewindLoop(place: StormPlace): Promise<string> {
  const [peer] = await gather(place, 1, () => [], ["recovery"]);
  await fill(peer, "rewound");
  const channel = "rewound";
  const answers = times(Math.round(300 * place.scale), () => [
    peer.request(subscribing({ channel, rewind: KEPT })),
    peer.request(unsubscribing({ channel })),
  ]);
  return `${(await answered(answers.flat())) / 2} rewinds of ${KEPT} messages`;
}

async function subscribers(place: StormPlace): Promise<string> {
  const name = (peer: number, i: number): string => `storm.${peer}.${i}`;
  return `${await comeAndGo(place, 100, name)} subscriptions`;
}

async function patterns(place: StormPlace): Promise<string> {
  const name = (peer: number, i: number): string => `*.storm.${peer}.${i}.**`;
  return `${await comeAndGo(place, 50, name)} patterns`;
}

async function publishers(place: StormPlace): Promise<string> {
  const peers = await gather(place, 50);
  await gather(place, 1, () => ["flood"]);
  const count = await during(place, peers, async (peer) => {
    return await answered(times(16, () => peer.request(publishing("flood"))));
  });
  return `${count} publishes`;
}

async function largePublishers(place: StormPlace): Promise<string> {
  const text = "x".repeat(60_000);
  const count = await during(place, await gather(place, 10), async (peer) => {
    return await answered([peer.request(publishing("large", text))]);
  });
  return `${count} publishes of 60 KB`;
}

/** Everything is heard by everybody, and no channel is used twice. */
async function hotPattern(place: StormPlace): Promise<string> {
  const listeners = await gather(place, Math.round(300 * place.scale), () => ["**"]);
  const [peer] = await gather(place, 1);
  let count = 0;
  await during(place, [peer], async () => {
    count += 8;
    return await answered(times(8, (i) => peer.request(publishing(`hot.${count + i}`))));
  });
  return `${count} publishes, each to a channel of its own, heard by ${listeners.length}`;
}

async function manySubscribers(place: StormPlace): Promise<string> {
  const listeners = await gather(place, Math.round(5_000 * place.scale), () => ["wide"]);
  const [peer] = await gather(place, 1);
  for (let i = 0; i < 20; i++) await peer.request(publishing("wide"));
  await peer.ping();
  return `20 publishes to ${listeners.length} subscribers`;
}

async function manySubscriptions(place: StormPlace): Promise<string> {
  const [each, step] = [Math.round(1_000 * place.scale), 200];
  const peers = await gather(place, 50);
  const counts = peers.map(async (peer, p) => {
    let count = 0;
    for (let i = 0; i < each; i += step) {
      const channels = names(Math.min(step, each - i), (j) => `many.${p}.${i + j}`);
      count += await answered([peer.request(subscribing(...channels))]);
    }
    return count;
  });
  const frames = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  return `${each} subscriptions by each of ${peers.length}, ${frames} frames`;
}

async function rpcs(place: StormPlace): Promise<string> {
  const text = "y".repeat(30_000);
  const count = await during(place, await gather(place, 20), async (peer) => {
    const one = { channel: "r", method: "echo" };
    return await answered(
      times(8, () =>
        peer.request({ ...one, envelope: { case: "rpcRequest", value: event(text) } }),
      ),
    );
  });
  return `${count} RPCs of 30 KB`;
}

/** Frames that are none, until the server has had enough of each. */
async function undecodable(place: StormPlace): Promise<string> {
  const peers = await Promise.all(times(20, () => Peer.open(place.port)));
  place.peers.push(...peers);
  const frame = "[".repeat(60_000);
  const count = await during(place, peers, async (peer) => {
    if (peer.closed !== undefined) return 0;
    peer.sendRaw(frame);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return 1;
  });
  return `${count} frames of 60 KB`;
}

async function connections(place: StormPlace): Promise<string> {
  const { port } = place;
  const count = await during(
    place,
    times(100, () => undefined),
    async () => {
      const peer = await Peer.connect(port).catch(() => undefined);
      peer?.terminate();
      return peer === undefined ? 0 : 1;
    },
  );
  return `${count} connections`;
}

export const STORMS: Readonly<Record<string, Storm>> = {
  "history reader": historyReader,
  "rewind loop": rewindLoop,
  subscribers,
  patterns,
  publishers,
  "large publishers": largePublishers,
  "hot pattern": hotPattern,
  "many subscribers": manySubscribers,
  "many subscriptions": manySubscriptions,
  rpcs,
  undecodable,
  connections,
};

/** So many peers, connected. */
async function gather(
  place: StormPlace,
  count: number,
  channels: () => readonly string[] = () => [],
  capabilities: readonly string[] = [],
): Promise<[Peer, ...Peer[]]> {
  const peers: Peer[] = [];
  while (peers.length < count) {
    const part = Math.min(OPENING, count - peers.length);
    const opened = times(part, () => {
      return Peer.connect(place.port, { capabilities, channels: channels() });
    });
    peers.push(...(await Promise.all(opened)));
  }
  place.peers.push(...peers);
  return peers as [Peer, ...Peer[]];
}

/** As many messages as history holds. */
async function fill(peer: Peer, channel: string): Promise<void> {
  const text = "x".repeat(600);
  await Promise.all(times(KEPT, () => peer.request(publishing(channel, text))));
}

/** Twenty peers subscribe and unsubscribe in turns. */
async function comeAndGo(
  place: StormPlace,
  together: number,
  name: (peer: number, i: number) => string,
): Promise<number> {
  const peers = await gather(place, 20);
  return await during(place, peers, async (peer, p) => {
    const channels = names(together, (i) => name(p, i));
    const answers = [peer.request(subscribing(...channels))];
    const first = await answered(answers);
    return (first + (await answered([peer.request(unsubscribing(...channels))]))) * together;
  });
}

/** Every one does it over and over; what one round returns is added up. */
async function during<T>(
  { scale }: StormPlace,
  ones: readonly T[],
  round: (one: T, index: number) => Promise<number>,
): Promise<number> {
  const end = performance.now() + LASTS_MS * Math.min(scale, 1);
  const counts = ones.map(async (one, index) => {
    let count = 0;
    while (performance.now() < end) {
      const more = await round(one, index);
      count += more;
      // Its connection is closed: what it does has an end.
      if (more === 0) break;
    }
    return count;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** How many were answered; a close answers none of the others. */
async function answered(requests: readonly Promise<void>[]): Promise<number> {
  const outcomes = await Promise.allSettled(requests);
  return outcomes.filter(({ status }) => status === "fulfilled").length;
}

function names(count: number, name: (i: number) => string): SubscriptionInit[] {
  return times(count, (i) => ({ channel: name(i) }));
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
