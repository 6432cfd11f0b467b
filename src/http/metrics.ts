/**
 * What a node has counted. Every name and label stands in the table below, those of the process in a
 * table of their own. Labels take values from closed sets only: nothing that a client or an application
 * chooses becomes a label.
 */
import { GAP_REASONS, RPC_OUTCOMES } from "../engine/counters.ts";
import type { EngineStats } from "../engine/stats.ts";
import { DISCONNECTS } from "../protocol/codes.ts";
import { PROCESS_FAMILIES, type ProcessFacts } from "./metrics-process.ts";
import { type Family, histogram, renderFamilies, type Sample } from "./metrics-text.ts";

/** Encoding and kind of client of `EngineStats.encoded`, in its order. */
const VARIANTS = [
  { encoding: "json", client: "v1" },
  { encoding: "json", client: "extended" },
  { encoding: "protobuf", client: "v1" },
  { encoding: "protobuf", client: "extended" },
] as const;

const REFUSAL_REASONS = ["unsigned", "misdirected", "replayed"] as const;

const FAMILIES: readonly Family<EngineStats>[] = [
  {
    name: "messageloop_sessions",
    type: "gauge",
    help: "Sessions now, those that have not sent connect yet included.",
    read: ({ sessions }) => sessions,
  },
  {
    name: "messageloop_sessions_opened_total",
    type: "counter",
    help: "Sessions of fresh connections.",
    read: ({ opened }) => opened,
  },
  {
    name: "messageloop_subscriptions",
    type: "gauge",
    help: "Subscriptions now, over all channels.",
    read: ({ subscriptions }) => subscriptions,
  },
  {
    name: "messageloop_channels",
    type: "gauge",
    help: "Channels that have a subscriber of their own now.",
    read: ({ channels }) => channels,
  },
  {
    name: "messageloop_patterns",
    type: "gauge",
    help: "Patterns that have a subscriber now.",
    read: ({ patterns }) => patterns,
  },
  {
    name: "messageloop_publications_total",
    type: "counter",
    help: "Publishes that were acknowledged.",
    read: ({ published }) => published,
  },
  {
    name: "messageloop_duplicates_total",
    type: "counter",
    help: "Acknowledged publishes of events that were in the log already.",
    read: ({ duplicates }) => duplicates,
  },
  {
    name: "messageloop_recoveries_total",
    type: "counter",
    help: "Recoveries that clients asked for, by whether something was missing.",
    read: ({ recovered, recoveredWithGap }) => [
      { labels: { outcome: "complete" }, value: recovered },
      { labels: { outcome: "gap" }, value: recoveredWithGap },
    ],
  },
  {
    name: "messageloop_replayed_messages_total",
    type: "counter",
    help: "Messages read from the log for sessions that had missed them.",
    read: ({ replayed }) => replayed,
  },
  {
    name: "messageloop_gaps_total",
    type: "counter",
    help: "Holes that live subscriptions met and that the log could not fill, by reason.",
    read: ({ gaps }) => GAP_REASONS.map((reason) => ({ labels: { reason }, value: gaps[reason] })),
  },
  {
    name: "messageloop_deliveries_total",
    type: "counter",
    help: "Messages written to sessions, one for each message and subscriber.",
    read: ({ delivered }) => delivered,
  },
  {
    name: "messageloop_messages_encoded_total",
    type: "counter",
    help: "Messages encoded, once for all subscribers of the same encoding and kind of client.",
    read: ({ encoded }) =>
      VARIANTS.map((labels, variant) => ({ labels, value: encoded[variant] ?? 0 })),
  },
  {
    name: "messageloop_events_decoded_total",
    type: "counter",
    help: "Events decoded from the bytes of the log.",
    read: ({ decoded }) => decoded,
  },
  {
    name: "messageloop_received_bytes_total",
    type: "counter",
    help: "Bytes of frames from clients, heartbeats left out.",
    read: ({ bytesIn }) => bytesIn,
  },
  {
    name: "messageloop_sent_bytes_total",
    type: "counter",
    help: "Bytes of frames to clients, heartbeats left out.",
    read: ({ bytesOut }) => bytesOut,
  },
  {
    name: "messageloop_queue_drops_total",
    type: "counter",
    help: "Frames of deliveries dropped from the queues of slow consumers, closed with 3510.",
    read: ({ queueDrops }) => queueDrops,
  },
  {
    name: "messageloop_internal_errors_total",
    type: "counter",
    help: "Exceptions that nobody foresaw; each is in the log, and ended at most one session.",
    read: ({ internalErrors }) => internalErrors,
  },
  {
    name: "messageloop_disconnects_total",
    type: "counter",
    help: "Sessions that this server closed, by close code; other stands for the application's own.",
    read: ({ disconnects }) => disconnectSamples(disconnects),
  },
  {
    name: "messageloop_backend_calls_open",
    type: "gauge",
    help: "Calls to backends that wait for their answer now.",
    read: ({ openCalls }) => openCalls,
  },
  {
    name: "messageloop_waiting_request_bytes",
    type: "gauge",
    help: "Bytes of requests of v1 clients that are under way or held now.",
    read: ({ waitingBytes }) => waitingBytes,
  },
  {
    name: "messageloop_waiting_request_memory_bytes",
    type: "gauge",
    help: "Memory of requests of v1 clients that are under way now.",
    read: ({ openBytes }) => openBytes,
  },
  {
    name: "messageloop_rpc_duration_seconds",
    type: "histogram",
    help: "How long backends took to answer RPCs, by outcome.",
    read: ({ rpcs }) => RPC_OUTCOMES.flatMap((outcome) => histogram({ outcome }, rpcs[outcome])),
  },
  {
    name: "messageloop_surveys_open",
    type: "gauge",
    help: "Surveys that wait for answers now.",
    read: ({ openSurveys }) => openSurveys,
  },
  {
    name: "messageloop_surveys_total",
    type: "counter",
    help: "Surveys that have ended.",
    read: ({ surveys }) => surveys,
  },
  {
    name: "messageloop_survey_answers_total",
    type: "counter",
    help: "Answers that surveys took.",
    read: ({ surveyAnswers }) => surveyAnswers,
  },
  {
    name: "messageloop_survey_silent_total",
    type: "counter",
    help: "Sessions that a survey asked and that did not answer.",
    read: ({ surveySilent }) => surveySilent,
  },
  {
    name: "messageloop_survey_answers_dropped_total",
    type: "counter",
    help: "Answers that no survey waited for.",
    read: ({ droppedAnswers }) => droppedAnswers,
  },
  {
    name: "messageloop_lifecycle_events_waiting",
    type: "gauge",
    help: "Lifecycle events that wait for their backends now.",
    read: ({ lifecycle }) => lifecycle.waiting,
  },
  {
    name: "messageloop_lifecycle_events_delivered_total",
    type: "counter",
    help: "Lifecycle events that backends have taken.",
    read: ({ lifecycle }) => lifecycle.delivered,
  },
  {
    name: "messageloop_lifecycle_requests_failed_total",
    type: "counter",
    help: "Requests with lifecycle events that backends have not taken; each is repeated.",
    read: ({ lifecycle }) => lifecycle.failures,
  },
  {
    name: "messageloop_lifecycle_events_dropped_total",
    type: "counter",
    help: "Lifecycle events that no backend has taken: there were too many, or they were too old.",
    read: ({ lifecycle }) => [
      { labels: { reason: "overflow" }, value: lifecycle.overflowed },
      { labels: { reason: "expired" }, value: lifecycle.expired },
    ],
  },
  {
    name: "messageloop_node_messages_refused_total",
    type: "counter",
    help: "Messages of other processes that were not obeyed, by reason.",
    read: ({ refusedMessages }) =>
      REFUSAL_REASONS.map((reason) => ({ labels: { reason }, value: refusedMessages[reason] })),
  },
];

/** Metrics of a node: what its engine has counted, and how its process is. */
export function renderMetrics(stats: EngineStats, facts: ProcessFacts): string {
  return renderFamilies(PROCESS_FAMILIES, facts) + renderFamilies(FAMILIES, stats);
}

/**
 * Every code of the table, so that a series does not appear only with its first event and a rate misses
 * that event. An application's own codes are up to a thousand and share one value.
 */
function disconnectSamples(disconnects: EngineStats["disconnects"]): Sample[] {
  const known = Object.values(DISCONNECTS).map(({ code }) => ({
    labels: { code: `${code}` },
    value: disconnects[code] ?? 0,
  }));
  const all = Object.values(disconnects).reduce((sum, count) => sum + count, 0);
  const listed = known.reduce((sum, { value }) => sum + value, 0);
  return [...known, { labels: { code: "other" }, value: all - listed }];
}
