/** What a session's answers mean to it, and what it is told without having asked. */
import type {
  OutboundMessage,
  Subscription,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import {
  asksRecovery,
  BAD_CHANNELS,
  COUNTED,
  check,
  checkEcho,
  RETRIED,
  type Request,
} from "./facts.ts";
import type { SessionModel } from "./model.ts";
import { checkHistory, checkPresence } from "./queries.ts";

export class Replies {
  readonly #session: SessionModel;

  constructor(session: SessionModel) {
    this.#session = session;
  }

  /** Takes what is no answer. Returns false for what is one. */
  unasked({ id, envelope }: OutboundMessage): boolean {
    const { capabilities, streams, world, requests } = this.#session;
    switch (envelope.case) {
      case "publication":
        streams.delivers(envelope.value);
        break;
      case "surveyRequest":
        world.surveys.asked(this.#session.id, envelope.value);
        break;
      case "recovered":
        this.#recovered(envelope.value.channel, () => streams.recovered(envelope.value));
        break;
      case "gap":
        streams.gap(envelope.value);
        break;
      case "subscribed":
      case "unsubscribed":
        this.#changed(envelope.case, envelope.value.subscriptions);
        break;
      case "presenceEvent":
        streams.presenceEvent(envelope.value);
        break;
      case "presence":
        if (requests.get(id) !== undefined) return false;
        streams.presence(envelope.value);
        break;
      default:
        return false;
    }
    const isNamed = envelope.case !== "publication" || !capabilities.includes("compact");
    check(isNamed ? id.startsWith("uuid-") : id === "", "what nobody asked for has a random id");
    return true;
  }

  #recovered(channel: string, verdict: () => void): void {
    const { streams, requests } = this.#session;
    const request = requests.replayer(channel);
    verdict();
    const open = request?.lanes.some((lane) => streams.get(lane)?.recovery !== undefined);
    if (request === undefined || open) return;
    requests.ends(request);
    requests.startNext();
  }

  /** An answer that is due: the request ends, unless it still has to catch up. */
  takesEffect(request: Request, message: OutboundMessage): void {
    const { requests } = this.#session;
    const lanes = [...request.joins.keys()];
    this.#means(request, message);
    const acknowledges = ["connected", "subscribeAck"].includes(`${message.envelope.case}`);
    const { streams } = this.#session;
    const behind = lanes.some((lane) => streams.get(lane)?.recovery !== undefined);
    if (acknowledges && behind) requests.catchesUp(request, lanes);
    else requests.ends(request);
    requests.startNext();
  }

  #means(request: Request, { envelope }: OutboundMessage): void {
    const session = this.#session;
    const { extended, capabilities, streams, world } = session;
    const { message, calls } = request;
    const asked = message.envelope;
    switch (envelope.case) {
      case "error": {
        const { code, metadata } = envelope.value;
        const wait = metadata?.["retry_after_ms"];
        check(code !== "RATE_LIMITED" || Number(wait) > 0, "no retry_after_ms");
        // What the application answers to a call never counts.
        if (calls.get("rpc") === undefined) session.counts(code);
        if (asked.case === "connect") {
          const final = request.due !== undefined || misnamed(request, code) ? 3501 : 3500;
          session.doom(RETRIED.has(code) ? 1011 : final);
        } else if (asked.case === "subscribe" && request.due === undefined && !RETRIED.has(code)) {
          session.doom(misnamed(request, code) ? 3501 : 3500);
        }
        return;
      }
      case "connected": {
        const { sessionId, capabilities: granted, userId, creditBytes } = envelope.value;
        check(sessionId === session.id, "another session's id");
        check(`${granted}` === `${capabilities}`, `granted ${granted}`);
        check(userId === (extended ? session.userId : ""), `the user is ${userId}`);
        const credit = capabilities.includes("credit") ? world.settings.creditBytes : 0;
        check(Number(creditBytes) === credit, `a credit of ${creditBytes}`);
        if (asked.case === "connect") {
          this.#subscribes(request, asked.value.subscriptions, envelope.value.subscriptions);
        }
        session.connects();
        return;
      }
      case "subscribeAck":
        if (asked.case === "subscribe") {
          this.#subscribes(request, asked.value.subscriptions, envelope.value.subscriptions);
        }
        return;
      case "unsubscribeAck": {
        check(asked.case === "unsubscribe", "not asked");
        checkEcho(asked.value.subscriptions, envelope.value.subscriptions);
        for (const lane of request.lanes) streams.delete(lane);
        return;
      }
      case "publishAck": {
        const { position, duplicate } = calls.get("publish")?.outcome ?? {};
        check(Number(envelope.value.offset) === position?.offset, "another offset");
        check(envelope.value.epoch === (extended ? position.epoch : ""), "another epoch");
        check(envelope.value.duplicate === (extended && duplicate === true), "a duplicate or not");
        return;
      }
      case "history":
        check(asked.case === "historyRequest", "history that nobody asked for");
        checkHistory(asked.value, envelope.value, calls.get("history")?.outcome?.page);
        return;
      case "presence":
        check(asked.case === "presenceRequest", "presence that nobody asked for");
        checkPresence(asked.value, envelope.value, calls.get("presence")?.outcome?.snapshot);
        return;
      case "rpcReply": {
        const event = world.asks.rpc
          ? calls.get("rpc")?.outcome?.event
          : asked.case === "rpcRequest" && asked.value.id;
        check(envelope.value.id === event, `answered with ${envelope.value.id}, not ${event}`);
        return;
      }
      case "surveyResponse": {
        const { requestId } = envelope.value;
        check(asked.case === "surveyRequest" && requestId === asked.value.requestId, "another id");
        return;
      }
      default:
    }
  }

  /** An acknowledgement opens streams from the positions that the session was given. */
  #subscribes(
    request: Request,
    requested: readonly Subscription[],
    acknowledged: readonly Subscription[],
  ): void {
    const { extended, requests } = this.#session;
    checkEcho(requested, acknowledged);
    let counted: string | undefined;
    for (const { channel, error, position } of acknowledged) {
      const entry = request.joins.get(channel);
      const outcome = entry && requests.joinOutcome(request.calls, entry, false);
      check(error?.code === outcome?.error, `${channel} is refused with ${error?.code}`);
      if (outcome?.error !== undefined && COUNTED.has(outcome.error)) counted = outcome.error;
      const place = outcome?.position;
      if (place === undefined || !extended) continue;
      check(position?.epoch === place.epoch, `${channel} is in another epoch`);
      check(Number(position.offset) === place.offset, `${channel} is at ${position.offset}`);
    }
    // A request that fails in several parts is one failing request.
    if (counted !== undefined) this.#session.counts(counted);
    this.#opens(request);
  }

  #opens(request: Request): void {
    const { streams, requests } = this.#session;
    for (const [channel, entry] of request.joins) {
      const outcome = requests.joinOutcome(request.calls, entry, request.byServer);
      if (outcome === undefined) continue;
      const { heard, replay } = request;
      if (outcome.error === undefined) {
        streams.acknowledged(entry, outcome, { heard: heard.get(channel), replay });
      } else if (asksRecovery(entry)) streams.refused(channel);
    }
  }

  /** The server's side has changed the subscriptions. Of many the client is told by several messages. */
  #changed(kind: "subscribed" | "unsubscribed", entries: readonly Subscription[]): void {
    const { capabilities, requests, streams } = this.#session;
    check(capabilities.includes("control"), `${kind} is told to who knows no such thing`);
    const request = requests.told(kind, entries[0]?.channel ?? "");
    check(request !== undefined, `${kind} of ${entries[0]?.channel}, which nobody wished`);
    request.told.push(...entries);
    const wished = requests.changes(request) ?? [];
    const told = request.told.map(({ channel }) => channel);
    check(`${told}` === `${wished.slice(0, told.length)}`, `${kind} of ${told}, not of ${wished}`);
    for (const { channel, position } of entries) {
      const entry = request.joins.get(channel);
      const place = entry && requests.joinOutcome(request.calls, entry, true)?.position;
      const right =
        position?.epoch === place?.epoch && `${position?.offset}` === `${place?.offset}`;
      check(right, `${channel} is at ${position?.epoch} ${position?.offset}`);
    }
    if (told.length < wished.length) return;
    this.#opens(request);
    if (kind === "unsubscribed") for (const lane of request.lanes) streams.delete(lane);
    requests.ends(request);
    requests.startNext();
  }
}

/** Whether a v1 client is refused for a channel's name and not for what it may do. */
function misnamed({ joins }: Request, code: string): boolean {
  return code === "BAD_REQUEST" && [...joins.keys()].some((name) => BAD_CHANNELS.includes(name));
}
