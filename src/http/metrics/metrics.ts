/**
 * What a node has counted. Every name and label stands in the table below, those of the process in a
 * table of their own. Labels take values from closed sets only: nothing that a client or an application
 * chooses becomes a label.
 */
import { GAP_REASONS, RPC_OUTCOMES } from "../../engine/counters.ts";
import type { EngineStats } from "../../engine/stats.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import { VARIANTS } from "../../protocol/publication-frames.ts";
import { PROCESS_FAMILIES, type ProcessFacts } from "./process.ts";
import { type Families, histogram, renderFamilies, type Sample } from "./text.ts";

/** Encoding and kind of client of `EngineStats.encoded`, in its order. */
const ENCODED = VARIANTS.map(({ encoding, kind }) => ({
  encoding: encoding === "proto" ? "protobuf" : encoding,
  client: kind,
}));

const REFUSAL_REASONS = ["unsigned", "misdirected", "replayed"] as const;

/** What an engine counts. */
export const FAMILIES: Families<EngineStats> = {
  messageloop_sessions: [
    "Sessions now, those that have not sent connect yet included.",
    "sessions",
  ],
  messageloop_sessions_opened_total: ["Sessions of fresh connections.", "opened"],
  messageloop_subscriptions: ["Subscriptions now, over all channels.", "subscriptions"],
  messageloop_channels: ["Channels that have a subscriber of their own now.", "channels"],
  messageloop_patterns: ["Patterns that have a subscriber now.", "patterns"],
  messageloop_publications_total: ["Publishes that were acknowledged.", "published"],
  messageloop_duplicates_total: [
    "Acknowledged publishes of events that were in the log already.",
    "duplicates",
  ],
  messageloop_recoveries_total: [
    "Recoveries that clients asked for, by whether something was missing.",
    ({ recovered, recoveredWithGap }) => [
      { labels: { outcome: "complete" }, value: recovered },
      { labels: { outcome: "gap" }, value: recoveredWithGap },
    ],
  ],
  messageloop_replayed_messages_total: [
    "Messages read from the log for sessions that had missed them.",
    "replayed",
  ],
  messageloop_gaps_total: [
    "Holes that live subscriptions met and that the log could not fill, by reason.",
    ({ gaps }) => GAP_REASONS.map((reason) => ({ labels: { reason }, value: gaps[reason] })),
  ],
  messageloop_deliveries_total: [
    "Messages written to sessions, one for each message and subscriber.",
    "delivered",
  ],
  messageloop_messages_encoded_total: [
    "Messages encoded, once for all subscribers of the same encoding and kind of client.",
    ({ encoded }) => ENCODED.map((labels, variant) => ({ labels, value: encoded[variant] ?? 0 })),
  ],
  messageloop_events_decoded_total: ["Events decoded from the bytes of the log.", "decoded"],
  messageloop_received_bytes_total: [
    "Bytes of frames from clients, decompressed, heartbeats left out.",
    "bytesIn",
  ],
  messageloop_sent_bytes_total: [
    "Bytes of frames to clients before they are compressed, heartbeats left out.",
    "bytesOut",
  ],
  messageloop_queue_drops_total: [
    "Frames of deliveries dropped from the queues of slow consumers, closed with 3510.",
    "queueDrops",
  ],
  messageloop_internal_errors_total: [
    "Exceptions that nobody foresaw; each is in the log, and ended at most one session.",
    "internalErrors",
  ],
  messageloop_disconnects_total: [
    "Sessions that this server closed, by close code; other stands for the application's own.",
    ({ disconnects }) => disconnectSamples(disconnects),
  ],
  messageloop_backend_calls_open: [
    "Calls to backends that wait for their answer now.",
    "openCalls",
  ],
  messageloop_waiting_request_bytes: [
    "Bytes of requests of v1 clients that are under way or held now.",
    "waitingBytes",
  ],
  messageloop_waiting_request_memory_bytes: [
    "Memory of requests of v1 clients that are under way now.",
    "openBytes",
  ],
  messageloop_rpc_duration_seconds: [
    "How long backends took to answer RPCs, by outcome.",
    ({ rpcs }) => RPC_OUTCOMES.flatMap((outcome) => histogram({ outcome }, rpcs[outcome])),
  ],
  messageloop_surveys_open: ["Surveys that wait for answers now.", "openSurveys"],
  messageloop_surveys_total: ["Surveys that have ended.", "surveys"],
  messageloop_survey_answers_total: ["Answers that surveys took.", "surveyAnswers"],
  messageloop_survey_silent_total: [
    "Sessions that a survey asked and that did not answer.",
    "surveySilent",
  ],
  messageloop_survey_answers_dropped_total: [
    "Answers that no survey waited for.",
    "droppedAnswers",
  ],
  messageloop_lifecycle_events_waiting: [
    "Lifecycle events that wait for their backends now.",
    ({ lifecycle }) => lifecycle.waiting,
  ],
  messageloop_lifecycle_events_delivered_total: [
    "Lifecycle events that backends have taken.",
    ({ lifecycle }) => lifecycle.delivered,
  ],
  messageloop_lifecycle_requests_failed_total: [
    "Requests with lifecycle events that backends have not taken; each is repeated.",
    ({ lifecycle }) => lifecycle.failures,
  ],
  messageloop_lifecycle_events_dropped_total: [
    "Lifecycle events that no backend has taken: there were too many, or they were too old.",
    ({ lifecycle }) => [
      { labels: { reason: "overflow" }, value: lifecycle.overflowed },
      { labels: { reason: "expired" }, value: lifecycle.expired },
    ],
  ],
  messageloop_node_messages_refused_total: [
    "Messages of other processes that were not obeyed, by reason.",
    ({ refusedMessages }) =>
      REFUSAL_REASONS.map((reason) => ({ labels: { reason }, value: refusedMessages[reason] })),
  ],
};

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
