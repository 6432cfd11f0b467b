/** Runs the suite: which cases a host can show, on which server, and that nothing is left of them. */
import type { Kind } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type Case, Context, KINDS, nameOf, type Way } from "./case.ts";
import { CASES } from "./cases/index.ts";
import type { Host, RunningServer, ServerStats } from "./host.ts";
import { VARIANTS, type Variant } from "./variants.ts";

/** One run of one case. */
export interface Planned {
  readonly case: Case;
  readonly kind: Kind;
  readonly way: Way;
  readonly server: Variant;
  /** Such as `S1 json v1: first frame`. */
  readonly name: string;
}

/**
 * Every run of the suite that a host has the capabilities for, those that share a server beside each
 * other. Without a host, what every host has the capabilities for.
 *
 * @param kinds what a case is run with over WebSocket; default as the host says
 */
export function plan(host?: Host, kinds: Host["kinds"] = host?.kinds ?? "all"): Planned[] {
  const streams = host?.capabilities?.bidirectionalStreams === true;
  const cases = CASES.filter(({ observes }) => streams || !observes?.includes("grpc"));
  const planned = [
    ...cases
      .filter(({ over }) => over !== "open")
      .flatMap((one, index) => {
        const runs = runsOf(one, "websocket");
        return kinds === "in turn" ? oneOf(runs, index) : runs;
      }),
    ...(host === undefined ? [] : opened(cases, host.opens)),
  ];
  const order = Object.keys(VARIANTS);
  return planned.sort((left, right) => order.indexOf(left.server) - order.indexOf(right.server));
}

/**
 * The runs over Open and Send: a case is run once, the kinds of clients in turn, so that all are there. What measures
 * is left out, and where every rule is enough a case that shows none that those before it have not shown.
 */
function opened(cases: readonly Case[], which: Host["opens"]): Planned[] {
  if (which === "nothing") return [];
  const shown = new Set<string>();
  return cases
    .filter(({ observes, over, rules, server }) => {
      const streams = observes?.includes("grpc") === true;
      if (over === "websocket" || server === "load" || streams) return false;
      const fresh = rules.some((rule) => !shown.has(rule));
      for (const rule of rules) shown.add(rule);
      return fresh || which === "cases";
    })
    .flatMap((one, index) => oneOf(runsOf(one, "open"), index));
}

/** One run of a case: the kinds of clients in turn, so that all are there. */
export function oneOf(runs: readonly Planned[], index: number): readonly Planned[] {
  return runs.slice(index % runs.length).slice(0, 1);
}

function runsOf(one: Case, way: Way): Planned[] {
  return (one.kinds ?? KINDS).map((kind) => ({
    case: one,
    kind,
    way,
    server: one.server ?? ("plain" as const),
    name: `${one.rules.join(" ")} ${nameOf(kind)}${way === "open" ? " by Open" : ""}: ${one.title}`,
  }));
}

/** Why a host cannot show a case, or undefined where it can. */
export function obstacle(host: Host, { case: one, server }: Planned): string | undefined {
  if (host.configurable) return undefined;
  if (server !== "plain" && server !== "load")
    return `needs a server with the suite's settings (${server})`;
  if (one.observes !== undefined) return `not observable: ${one.observes.join(", ")}`;
  return undefined;
}

/** The start that was asked for last. */
let starting: Promise<unknown> = Promise.resolve();

/**
 * Starts servers one after the other, for whomever: a start keeps a processor busy, so several at once
 * are no sooner done, and disturb the cases that look at the clock.
 */
function startInTurn(host: Host, variant: Variant): Promise<RunningServer> {
  const started = starting.then(() => host.start(VARIANTS[variant]));
  starting = started.catch(() => {});
  return started;
}

/** Starts servers as they are needed, one at a time. */
export class Servers {
  readonly #host: Host;
  #variant: Variant | undefined;
  #server: RunningServer | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  async get(variant: Variant): Promise<RunningServer> {
    if (this.#server !== undefined && this.#variant === variant) return this.#server;
    await this.stop();
    this.#server = await startInTurn(this.#host, variant);
    this.#variant = variant;
    return this.#server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }
}

/**
 * Runs a case. Rejects when it does not hold, or when something of it is left behind. Resolves with what
 * was measured on the way.
 */
export async function run(
  host: Host,
  server: RunningServer,
  planned: Planned,
): Promise<readonly string[]> {
  const context = new Context(host, server, planned.kind, planned.way);
  try {
    await planned.case.run(context);
  } finally {
    context.terminate();
  }
  context.checkViolations();
  const { stats } = server;
  if (stats !== undefined) await eventually(stats, isEmpty);
  return context.notes;
}

function isEmpty(stats: ServerStats): boolean {
  const { sessions, subscriptions, openCalls, openSurveys, registrations, publishing } = stats;
  return sessions + subscriptions + openCalls + openSurveys + registrations + publishing === 0;
}
