/** What the threads of a process report, as one process: sums, and some figures of each. */
import type { EngineStats } from "../../engine/stats.ts";
import type { NodeState } from "../../http/api/nodes.ts";
import { renderMetrics } from "../../http/metrics/metrics.ts";
import type { ProcessFacts } from "../../http/metrics/process.ts";
import { type Families, renderFamilies, type Sample } from "../../http/metrics/text.ts";
import { unavailable } from "../../protocol/errors.ts";
import type { ThreadReport } from "./messages.ts";

type Reports = readonly ThreadReport[];

const FAMILIES: Families<Reports> = {
  messageloop_threads: [
    "Threads that have answered.",
    (all) => all.filter(({ own }) => own).length,
  ],
  messageloop_thread_connections: [
    "Connections of clients now, by thread.",
    (all) => byThread(all, ({ own }) => own?.facts.connections),
  ],
  messageloop_thread_sessions: [
    "Sessions now, by thread.",
    (all) => byThread(all, ({ own }) => own?.stats.sessions),
  ],
  messageloop_thread_channels: [
    "Channels whose log a thread has, by thread.",
    (all) => byThread(all, ({ own }) => own?.channels),
  ],
  messageloop_thread_busy_ratio: [
    "The part of the time since the last look in which a thread was busy, 0 to 1.",
    (all) => byThread(all, ({ busy }) => busy),
  ],
  messageloop_thread_deaths_total: [
    "How often a thread has ended and was replaced.",
    (all) => byThread(all, ({ deaths }) => deaths),
  ],
};

function byThread(
  all: Reports,
  read: (report: ThreadReport) => number | undefined,
): readonly Sample[] {
  return all.flatMap((report) => {
    const value = read(report);
    return value === undefined ? [] : [{ labels: { thread: `${report.index}` }, value }];
  });
}

/** Metrics of a process: those of one with one thread, as sums, and after them those by thread. */
export function renderTotals(all: Reports): string {
  const total = totalOf(all);
  const ofThreads = renderFamilies(FAMILIES, all);
  return total === undefined ? ofThreads : renderMetrics(total.stats, total.facts) + ofThreads;
}

/** What the threads that have answered are together, as one process; undefined where none has. */
export function totalOf(
  all: Reports,
): { readonly stats: EngineStats; readonly facts: ProcessFacts } | undefined {
  const answered = all.flatMap(({ own }) => own ?? []);
  const [first] = answered;
  if (first === undefined) return undefined;
  const stats = summed(answered.map((own) => own.stats)) as EngineStats;
  const facts = summed(answered.map((own) => own.facts)) as ProcessFacts;
  const { redis } = facts;
  const lost = Math.max(...answered.map((own) => own.facts.redis?.lostSeconds ?? 0));
  const whole: ProcessFacts = {
    ...facts,
    // The process has these, and not each of its threads.
    uptimeSeconds: first.facts.uptimeSeconds,
    memory: { ...facts.memory, resident: first.facts.memory.resident },
    redis: redis && { ...redis, lostSeconds: lost },
  };
  return { stats, facts: whole };
}

/**
 * All threads as one node, for callers that look at it again and again.
 *
 * @param name of the process. With each thread that ends the node has another one: what it had counted is gone
 */
export function processNode(name: string, all: Reports): NodeState {
  const total = totalOf(all);
  if (total === undefined) throw unavailable("no thread has answered");
  const { stats, facts } = total;
  const deaths = all.reduce((sum, report) => sum + report.deaths, 0);
  return {
    name: deaths === 0 ? name : `${name}+${deaths}`,
    stats,
    facts: {
      uptimeSeconds: facts.uptimeSeconds,
      connections: facts.connections,
      memoryBytes: facts.memory.resident,
      lag: facts.lag,
      busy: all.reduce((sum, { busy }) => sum + busy, 0) / all.length,
    },
    incidents: all.flatMap(({ own }) => own?.incidents ?? []),
  };
}

/** Threads that have answered, as nodes of the process. */
export function nodesOf(all: Reports): NodeState[] {
  return all.flatMap(({ busy, deaths, index, own }) => {
    if (own === undefined) return [];
    const { channels, facts, incidents, name, stats } = own;
    const { connections, lag, memory, uptimeSeconds } = facts;
    return {
      name,
      stats,
      incidents,
      facts: { uptimeSeconds, connections, memoryBytes: memory.resident, lag, busy },
      thread: { index, channels, deaths },
    };
  });
}

/**
 * Figures of the same shape, added up: numbers are summed, of switches all must be on, and of texts there is the first.
 * A list has its items at the same places, a table may have more in one than in another.
 */
export function summed(all: readonly unknown[]): unknown {
  const [first] = all;
  if (typeof first === "number") return (all as number[]).reduce((sum, one) => sum + one, 0);
  if (typeof first === "boolean") return all.every(Boolean);
  if (typeof first !== "object" || first === null) return first;
  const tables = all as readonly Readonly<Record<string, unknown>>[];
  if (Array.isArray(first)) {
    return first.map((_, place) => summed(tables.map((table) => table[place])));
  }
  const names = new Set(tables.flatMap((table) => Object.keys(table)));
  return Object.fromEntries(
    [...names].map((name) => {
      const values = tables.map((table) => table[name]).filter((value) => value !== undefined);
      return [name, summed(values)];
    }),
  );
}
