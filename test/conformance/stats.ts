/** What several nodes hold together. */
import type { ServerStats } from "./host.ts";

export function sum(all: readonly (ServerStats | undefined)[]): ServerStats {
  return all.filter((stats) => stats !== undefined).reduce(added, NOTHING);
}

const NOTHING: ServerStats = {
  sessions: 0,
  subscriptions: 0,
  openCalls: 0,
  openSurveys: 0,
  registrations: 0,
  publishing: 0,
  delivered: 0,
  encoded: [0, 0, 0, 0, 0, 0],
  decoded: 0,
  disconnects: {},
  droppedAnswers: 0,
};

function added(left: ServerStats, right: ServerStats): ServerStats {
  const disconnects: Record<string, number> = { ...left.disconnects };
  for (const [code, count] of Object.entries(right.disconnects)) {
    disconnects[code] = (disconnects[code] ?? 0) + count;
  }
  return {
    sessions: left.sessions + right.sessions,
    subscriptions: left.subscriptions + right.subscriptions,
    openCalls: left.openCalls + right.openCalls,
    openSurveys: left.openSurveys + right.openSurveys,
    registrations: left.registrations + right.registrations,
    publishing: left.publishing + right.publishing,
    delivered: left.delivered + right.delivered,
    encoded: left.encoded.map((count, variant) => count + (right.encoded[variant] ?? 0)),
    decoded: left.decoded + right.decoded,
    disconnects,
    droppedAnswers: left.droppedAnswers + right.droppedAnswers,
  };
}
