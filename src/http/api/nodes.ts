/** What the server API says of nodes: threads of a process that answer, or gateways by what they have reported. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { GAP_REASONS, type HistogramStats } from "../../engine/counters.ts";
import type { NodeReport, RegionReport } from "../../engine/ports/directory.ts";
import type { Incident } from "../../engine/ports/incidents.ts";
import type { EngineStats } from "../../engine/stats.ts";
import { uint64Of } from "../../engine/subscription/positions.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import type {
  IncidentSchema,
  NodeStatusSchema,
  NodesResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import type { ApiCall } from "./context.ts";

/** Gateways of a region that are named. */
const MAX_GATEWAYS = 100;
/** Incidents of an answer. */
const MAX_ANSWERED_INCIDENTS = 200;

/** What a host knows of its nodes. */
export interface NodesHost {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Those of the process; left out where nodes sleep. */
  readonly nodes?: () => Promise<readonly NodeState[]>;
  /** Whether nodes that sleep report what they hold. Default no. */
  readonly nodesReport?: boolean;
}

/** A node at one moment. */
export interface NodeState {
  /** What the ids of its sessions begin with. */
  readonly name: string;
  readonly stats: EngineStats;
  readonly facts: NodeFacts;
  /** The newest last. */
  readonly incidents: readonly Incident[];
  /** Left out where the process has one thread. */
  readonly thread?: {
    /** From 0. */
    readonly index: number;
    /** Channels whose log it has. */
    readonly channels: number;
    /** How often a thread in its place has ended. */
    readonly deaths: number;
  };
}

/** What a host knows of a node beside its engine. */
export interface NodeFacts {
  readonly uptimeSeconds: number;
  /** Connections of clients, those that are being closed included. */
  readonly connections: number;
  /** Memory that the process has of the machine. */
  readonly memoryBytes: number;
  /** How late timers came. */
  readonly lag: HistogramStats;
  /** The part of the time since the last look in which it was busy, 0 to 1. */
  readonly busy: number;
}

/**
 * Answers what nodes do now: those of this process, or, where nodes sleep, what gateways have reported last. Where they
 * report nothing it answers `unreported`.
 *
 * @throws MessagingError ACL_ERROR without the right to read everywhere
 */
export async function nodes(
  { engine, principal }: ApiCall,
  { now, nodes: own, nodesReport = false }: NodesHost,
): Promise<MessageInitShape<typeof NodesResponseSchema>> {
  principal.checkEverywhere("read");
  const asOf = uint64Of(now());
  if (own !== undefined) {
    const states = await own();
    const met = states.flatMap(({ incidents, name }) => named(incidents, name));
    return { nodes: states.map(nodeStatus), incidents: newest(met), asOf };
  }
  const { directory } = engine.broker;
  if (!nodesReport || directory?.nodes === undefined) return { unreported: true, asOf };
  const regions = await directory.nodes(REPORTED, MAX_GATEWAYS);
  const gateways = regions.flatMap(({ region, report }) =>
    (report?.loads ?? []).map((load) => ({ region, load })),
  );
  return {
    nodes: gateways.map(({ region, load }) => gatewayStatus(region, load)),
    regions: regions.map(regionStatus),
    incidents: newest(gateways.flatMap(({ load }) => named(load.incidents, load.gateway))),
    asOf,
  };
}

export function nodeStatus({
  name,
  stats,
  facts,
  thread,
}: NodeState): MessageInitShape<typeof NodeStatusSchema> {
  const { uptimeSeconds, connections, memoryBytes, lag, busy } = facts;
  return {
    name,
    uptimeMs: uint64Of(uptimeSeconds * 1_000),
    connections,
    sessions: stats.sessions,
    subscriptions: stats.subscriptions,
    channels: stats.channels,
    patterns: stats.patterns,
    memoryBytes: uint64Of(memoryBytes),
    lagUs: uint64Of(lag.sum * 1_000_000),
    lagSamples: uint64Of(lag.count),
    publications: uint64Of(stats.published),
    deliveries: uint64Of(stats.delivered),
    receivedBytes: uint64Of(stats.bytesIn),
    sentBytes: uint64Of(stats.bytesOut),
    gaps: Object.fromEntries(
      Object.entries(stats.gaps).map(([reason, count]) => [reason, uint64Of(count)]),
    ),
    slowConsumers: uint64Of(stats.disconnects[DISCONNECTS.slowConsumer.code] ?? 0),
    internalErrors: uint64Of(stats.internalErrors),
    busy,
    ...(thread === undefined
      ? {}
      : { thread: thread.index, ownChannels: thread.channels, deaths: thread.deaths }),
  };
}

/** The figures of a gateway that are shown, by the names of their series. Gateways with most of the first stand first. */
const FIGURES = {
  sessions: "messageloop_sessions",
  subscriptions: "messageloop_subscriptions",
  channels: "messageloop_channels",
  patterns: "messageloop_patterns",
  published: "messageloop_publications_total",
  delivered: "messageloop_deliveries_total",
  bytesIn: "messageloop_received_bytes_total",
  bytesOut: "messageloop_sent_bytes_total",
  slow: `messageloop_disconnects_total{code="${DISCONNECTS.slowConsumer.code}"}`,
  internalErrors: "messageloop_internal_errors_total",
} as const;

function gapSeries(reason: string): string {
  return `messageloop_gaps_total{reason="${reason}"}`;
}

const REPORTED = [...Object.values(FIGURES), ...GAP_REASONS.map(gapSeries)];

function gatewayStatus(
  region: string,
  { gateway, time, figures }: NodeReport,
): MessageInitShape<typeof NodeStatusSchema> {
  const of = (name: keyof typeof FIGURES): number => figures[FIGURES[name]] ?? 0;
  return {
    name: gateway,
    region,
    reported: uint64Of(time),
    sessions: of("sessions"),
    subscriptions: of("subscriptions"),
    channels: of("channels"),
    patterns: of("patterns"),
    publications: uint64Of(of("published")),
    deliveries: uint64Of(of("delivered")),
    receivedBytes: uint64Of(of("bytesIn")),
    sentBytes: uint64Of(of("bytesOut")),
    gaps: Object.fromEntries(
      GAP_REASONS.map((reason) => [reason, uint64Of(figures[gapSeries(reason)] ?? 0)]),
    ),
    slowConsumers: uint64Of(of("slow")),
    internalErrors: uint64Of(of("internalErrors")),
  };
}

function regionStatus({ region, report }: RegionReport) {
  if (report === undefined) return { region, ready: false };
  const { asOf, figures, gateways } = report;
  const sessions = uint64Of(figures[FIGURES.sessions] ?? 0);
  return { region, ready: true, asOf: uint64Of(asOf), gateways, sessions };
}

interface NamedIncident extends Incident {
  readonly node: string;
}

function named(incidents: readonly Incident[], node: string): NamedIncident[] {
  return incidents.map((incident) => ({ ...incident, node }));
}

function newest(all: readonly NamedIncident[]): MessageInitShape<typeof IncidentSchema>[] {
  return all
    .toSorted((one, other) => other.at - one.at)
    .slice(0, MAX_ANSWERED_INCIDENTS)
    .map(({ at, began, ...rest }) => ({ ...rest, at: uint64Of(at), began: uint64Of(began) }));
}
