/** What one look at the metrics of servers says of their nodes, and what two looks say of what happened between them. */
import { Failure, oneLine } from "../failure.ts";
import { type Sample, samplesOf } from "./samples.ts";

/** How long a server may take to answer, in milliseconds, and how many bytes it may answer with. */
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 16 * 1024 * 1024;
const LAG = "messageloop_event_loop_lag_seconds_bucket";

/** A node as it was at one moment. */
interface NodeReading {
  /** Of a process its address, of Workers the region after it. */
  readonly node: string;
  /** When it was read, in milliseconds of a clock that nobody sets. */
  readonly at: number;
  /** Why it could not be read. */
  readonly problem?: string;
  /** Sums of samples by the names of their metrics. */
  readonly sums: ReadonlyMap<string, number>;
  /** How many timers were at most so late, by that bound in seconds. */
  readonly lag: ReadonlyMap<number, number>;
}

/** A node for a table; undefined is what it does not say. Bytes, and seconds. */
export interface NodeFigures {
  readonly node: string;
  readonly problem: string | undefined;
  readonly sessions: number | undefined;
  readonly channels: number | undefined;
  readonly publicationsPerSecond: number | undefined;
  readonly deliveriesPerSecond: number | undefined;
  readonly memoryBytes: number | undefined;
  /** What 99 of 100 timers were not later than. */
  readonly lagSeconds: number | undefined;
}

/** The nodes of several servers, in the order of their addresses. */
export async function readNodes(
  addresses: readonly string[],
  key: string | undefined,
  ended: AbortSignal,
): Promise<NodeReading[]> {
  const all = addresses.map((address) => readServer(address, key, ended));
  return (await Promise.all(all)).flat();
}

async function readServer(
  address: string,
  key: string | undefined,
  ended: AbortSignal,
): Promise<NodeReading[]> {
  const node = new URL(address).host;
  const at = performance.now();
  try {
    const samples = samplesOf(await textOf(address, key, ended));
    if (!samples.some(({ name }) => name.startsWith("messageloop_"))) {
      throw new Failure("it has no metrics of MessageLoop");
    }
    return nodesOf(node, performance.now(), samples);
  } catch (error) {
    const { message, cause } = error as Error;
    // What fetch itself says is that it failed.
    const { code, message: why } = (cause ?? {}) as Partial<NodeJS.ErrnoException>;
    const problem = oneLine(code ?? why ?? message);
    return [{ node, at, problem, sums: new Map(), lag: new Map() }];
  }
}

async function textOf(
  address: string,
  key: string | undefined,
  ended: AbortSignal,
): Promise<string> {
  const response = await fetch(`${address}/metrics`, {
    headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
    // The key is for the server that was named.
    redirect: "error",
    signal: AbortSignal.any([ended, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  if (!response.ok) {
    await response.body?.cancel();
    const hint = response.status === 401 ? ": it wants an API key" : "";
    throw new Failure(`HTTP ${response.status}${hint}`);
  }
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Failure(`it answers with more than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** A process is one node; what has regions is one node for each that holds or has counted anything. */
function nodesOf(address: string, at: number, samples: readonly Sample[]): NodeReading[] {
  const regions = [...new Set(samples.flatMap(({ labels }) => labels["region"] ?? []))];
  if (regions.length === 0) return [nodeOf(address, at, samples)];
  const nodes = regions.map((region) => {
    const own = samples.filter(({ labels }) => labels["region"] === region);
    return nodeOf(`${region} ${address}`, at, own);
  });
  const used = nodes.filter(
    ({ sums, problem }) =>
      problem !== undefined ||
      (sums.get("messageloop_gateways") ?? 0) > 0 ||
      (sums.get("messageloop_sessions_opened_total") ?? 0) > 0,
  );
  return used.length > 0 ? used : nodes.slice(0, 1);
}

function nodeOf(node: string, at: number, samples: readonly Sample[]): NodeReading {
  const sums = new Map<string, number>();
  const lag = new Map<number, number>();
  for (const { name, labels, value } of samples) {
    if (name === LAG) lag.set(Number((labels["le"] ?? "").replace("Inf", "Infinity")), value);
    else sums.set(name, (sums.get(name) ?? 0) + value);
  }
  const away = sums.get("messageloop_region_ready") === 0;
  return { node, at, sums, lag, ...(away ? { problem: "its counters do not answer" } : {}) };
}

/** @param before an earlier look at the same servers, if there was one */
export function figuresOf(
  now: readonly NodeReading[],
  before: readonly NodeReading[],
): NodeFigures[] {
  return now.map((reading) => {
    const { node, problem, sums } = reading;
    const earlier = before.find((one) => one.node === node && one.problem === undefined);
    return {
      node,
      problem,
      sessions: sums.get("messageloop_sessions"),
      channels: sums.get("messageloop_channels"),
      publicationsPerSecond: rateOf("messageloop_publications_total", reading, earlier),
      deliveriesPerSecond: rateOf("messageloop_deliveries_total", reading, earlier),
      memoryBytes: sums.get("messageloop_process_resident_memory_bytes"),
      lagSeconds: lagOf(reading, earlier),
    };
  });
}

/** Undefined without an earlier look, and where the node has begun to count from zero meanwhile. */
function rateOf(
  name: string,
  now: NodeReading,
  before: NodeReading | undefined,
): number | undefined {
  const [last, first] = [now.sums.get(name), before?.sums.get(name)];
  if (before === undefined || last === undefined || first === undefined) return undefined;
  const seconds = (now.at - before.at) / 1_000;
  return last < first || seconds <= 0 ? undefined : (last - first) / seconds;
}

function lagOf({ lag }: NodeReading, before: NodeReading | undefined): number | undefined {
  const since = [...lag]
    .map(([bound, count]) => ({ bound, count: count - (before?.lag.get(bound) ?? 0) }))
    .toSorted((one, other) => one.bound - other.bound);
  const all = since.at(-1)?.count ?? 0;
  return all <= 0 ? undefined : since.find(({ count }) => count >= 0.99 * all)?.bound;
}
