/** What was simulated, as a part of docs/scaling.md. */
import { grouped, table } from "../../bench/report.ts";
import type { Part, SceneResult, SimulationResults } from "./results.ts";

/** Around the part of the page that the program writes. */
const BEGIN = "<!-- written by npm run check:simulation -- --save -->";
const END = "<!-- end of what it has written -->";

/** The page with these results in the place of those that it has. */
export function pageWith(page: string, results: SimulationResults): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("the page has no place for it");
  return `${before}${BEGIN}\n\n${tablesOf(results)}\n\n${END}${after}`;
}

export function tablesOf(results: SimulationResults): string {
  const { bench, scenes, seed } = results;
  const { connect, further, socket, step } = bench.times;
  const of = (name: string): SceneResult[] => scenes.filter((scene) => scene.name === name);
  const storm = of("storms");
  const rooms = Map.groupBy(of("many channels"), ({ channels }) => channels);
  const acknowledged = scenes.reduce((sum, { verdict }) => sum + verdict.acknowledged, 0);
  const broken = scenes.reduce((sum, { verdict }) => sum + verdict.broken, 0);
  return [
    `Seed ${seed}; turn times by the bench of ${bench.commit}, ${bench.date.slice(0, 10)}: ${ms(step)} for a step, ${ms(socket)} for a ` +
      `socket, ${ms(further)} for a further message on it, ${ms(connect)} for a client that comes. ${grouped(acknowledged)} messages ` +
      `were acknowledged, and ${broken} promises broken.`,
    "### One channel",
    "A message every 3 s:",
    sizes(of("one channel"), "seldom"),
    "Four messages a second:",
    sizes(of("one channel"), "often"),
    verdictOf(of("one channel")),
    `### One channel of ${subscribersOf(storm)} subscribers on ${grouped(storm[0]?.gateways ?? 0)} gateways, two messages a second`,
    parts(storm),
    ...[...rooms].flatMap(([channels, some]) => [
      `### ${grouped(channels)} channels of ten subscribers, a message a minute in each`,
      parts(some),
    ]),
  ].join("\n\n");
}

function sizes(scenes: readonly SceneResult[], name: string): string {
  const direct = scenes.filter(({ relays }) => !relays);
  const lines = direct.map((scene) => {
    const both = [scene, relayed(scenes, scene)].map((each) => partOf(each, name));
    const [own] = both;
    if (own === undefined) throw new Error(`there is no part ${name}`);
    const pair = (of: (part: Part) => string): string =>
      both.map((part) => (part === undefined ? "" : of(part))).join(" / ");
    const messages = (part: Part): number => part.messages;
    return [
      grouped(scene.gateways),
      grouped(scene.subscribers),
      pair((part) => (part.billed.calls / messages(part)).toFixed(1)),
      pair((part) => (part.billed.rowsWritten / messages(part)).toFixed(1)),
      pair((part) => ((part.dollars / part.deliveries) * 1e6).toPrecision(3)),
      pair((part) => latency(part.p50)),
      pair((part) => latency(part.p99)),
      pair((part) => (part.channelMs / messages(part)).toPrecision(3)),
    ];
  });
  return table(
    [
      "gateways",
      "subscribers",
      "calls a message",
      "rows written a message",
      "dollars a million deliveries",
      "p50 in ms",
      "p99 in ms",
      "work of the channel a message in ms",
    ],
    lines,
  );
}

function relayed(scenes: readonly SceneResult[], scene: SceneResult): SceneResult | undefined {
  return scenes.find(({ gateways, relays }) => relays && gateways === scene.gateways);
}

function partOf(scene: SceneResult | undefined, name: string): Part | undefined {
  return scene?.parts.find((part) => part.name === name);
}

/** From which size on relays are better, by what. */
function verdictOf(scenes: readonly SceneResult[]): string {
  const from = (name: string, of: (part: Part) => number): string => {
    const direct = scenes.filter(({ relays }) => !relays);
    const better = direct.map((scene) => {
      const [own, other] = [scene, relayed(scenes, scene)].map((each) => partOf(each, name));
      return own !== undefined && other !== undefined && of(other) < of(own);
    });
    // From there on it holds for all that are larger.
    const first = better.lastIndexOf(false) + 1;
    const gateways = direct[first]?.gateways;
    return gateways === undefined ? "at no size" : `from ${grouped(gateways)} gateways on`;
  };
  return [
    "Relays pay",
    "",
    `- for the channel's work: ${from("seldom", ({ channelMs }) => channelMs)};`,
    `- for the p99 of a message every 3 s: ${from("seldom", ({ p99 }) => p99 ?? Number.NaN)};`,
    `- for the p99 of four messages a second: ${from("often", ({ p99 }) => p99 ?? Number.NaN)};`,
    `- for the price of a message every 3 s: ${from("seldom", ({ dollars }) => dollars)};`,
    `- for the price of four messages a second: ${from("often", ({ dollars }) => dollars)}.`,
  ].join("\n");
}

function parts(scenes: readonly SceneResult[]): string {
  const names = scenes[0]?.parts.map(({ name }) => name) ?? [];
  const lines = names.flatMap((name) =>
    scenes.map((scene) => {
      const part = partOf(scene, name);
      if (part === undefined) throw new Error(`there is no part ${name}`);
      const { backMs, billed, calls, deliveries, dollars, gaps, p50, p99, refused, replayed } =
        part;
      const toChannels = Object.entries(calls)
        .filter(([method]) => method.startsWith("channel."))
        .reduce((sum, [, count]) => sum + count, 0);
      return [
        name,
        scene.relays ? "with" : "without",
        grouped(deliveries),
        grouped(replayed),
        grouped(gaps),
        grouped(refused),
        grouped(billed.calls),
        grouped(toChannels),
        grouped(billed.rowsWritten),
        dollars.toPrecision(3),
        latency(p50),
        latency(p99),
        backMs === 0 ? "" : (backMs / 1_000).toFixed(1),
      ];
    }),
  );
  return table(
    [
      "what happens",
      "relays",
      "deliveries",
      "replayed",
      "in gaps",
      "publishes refused",
      "calls",
      "of them to channels",
      "rows written",
      "dollars",
      "p50 in ms",
      "p99 in ms",
      "all are there after s",
    ],
    lines,
  );
}

function subscribersOf(scenes: readonly SceneResult[]): string {
  return grouped(scenes[0]?.subscribers ?? 0);
}

function latency(value: number | null): string {
  return value === null ? "" : value.toFixed(0);
}

function ms(value: number): string {
  return `${value.toPrecision(3)} ms`;
}
