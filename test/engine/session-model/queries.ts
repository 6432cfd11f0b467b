/** H1 to H4 and M5: what a page of history and a list of members have to say. */
import type { HistoryPage, PresenceSnapshot } from "../../../src/engine/ports/broker.ts";
import type {
  History,
  HistoryRequest,
  Presence,
  PresenceRequest,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { check } from "./facts.ts";

export function checkHistory(
  { channel, since, limit, reverse }: HistoryRequest,
  { channel: told, messages, position, gap, more }: History,
  page: HistoryPage | undefined,
): void {
  check(page !== undefined && told === channel, "history of another channel");
  const { epoch, offset: head } = page.position;
  check(position?.epoch === epoch && Number(position.offset) === head, "another head");
  check(messages.length <= 100, "a page of more than 100 messages");
  check(limit < 0 || messages.length <= limit, `more than ${limit} messages`);
  if (foreign({ since, reverse }, page)) {
    check(gap?.reason === "epoch_changed", `the gap is ${gap?.reason}`);
    check(messages.length === 0 && !more, "messages of another log");
    return;
  }
  const entries = page.entries.map(({ offset }) => `${epoch}-${offset}`);
  check(`${messages.map(({ id }) => id)}` === `${entries}`, `other messages than ${entries}`);
  check(more === page.more, `more is ${more}`);
  const known = since === undefined || since.epoch === "" ? undefined : since;
  const missing = !reverse && known !== undefined && page.first > Number(known.offset) + 1;
  check((gap !== undefined) === missing, `a gap, or none, before ${page.first}`);
  if (gap === undefined) return;
  const right = gap.after?.epoch === epoch && gap.after.offset === known?.offset;
  check(right && Number(gap.until?.offset) === page.first - 1, "another gap");
  check(gap.reason === page.reason, `the gap is ${gap.reason}`);
}

/** Whether a page is asked for at a place that its log does not know. */
export function foreign(
  { since, reverse }: Pick<HistoryRequest, "since" | "reverse">,
  { position }: HistoryPage,
): boolean {
  if (since === undefined || since.epoch === "") return false;
  // In reverse a page may begin one past the head.
  const last = reverse ? position.offset + 1 : position.offset;
  return since.epoch !== position.epoch || Number(since.offset) > last;
}

export function checkPresence(
  { channel }: PresenceRequest,
  { channel: told, members, total, generation }: Presence,
  snapshot: PresenceSnapshot | undefined,
): void {
  check(snapshot !== undefined && told === channel, "presence of another channel");
  check(total === snapshot.total, `${total} members`);
  check(generation?.epoch === snapshot.epoch, "another epoch");
  check(Number(generation.number) === snapshot.generation, "another generation");
  const listed = members.map(({ userId, clientId, sessionId }) => [userId, clientId, sessionId]);
  const first = snapshot.members.slice(0, listed.length);
  const right = first.map(({ userId, clientId, sessionId }) => [userId, clientId, sessionId]);
  check(JSON.stringify(listed) === JSON.stringify(right), `the members ${listed}`);
}
