/** What a frame is owed as far as the frame and the moment of its arrival decide it. */
import type { CloudEvent } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  Connect,
  InboundMessage,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { BAD_CHANNELS, invalid, KINDS, lastEntries } from "./facts.ts";
import type { SessionModel } from "./model.ts";

/** In the order in which the server names them. */
const CAPABILITIES = ["recovery", "history", "presence", "control", "credit", "compact"];

export class FrameRules {
  readonly #session: SessionModel;

  constructor(session: SessionModel) {
    this.#session = session;
  }

  /** The answer that the frame alone decides, where there is one. */
  takes(message: InboundMessage): string | undefined {
    const session = this.#session;
    const { settings, surveys, asks } = session.world;
    const { envelope } = message;
    if (envelope.case === "connect") {
      return session.state === "new" ? this.#connects(message, envelope.value) : session.doom(3501);
    }
    if (envelope.case === "ping") return "pong";
    if (session.state !== "connected") return session.doom(3502);
    if (envelope.case === undefined) return undefined;
    if (this.#switchedOff(envelope.case)) return session.doom(3508);
    const hasAnswer = !["surveyResponse", "received"].includes(envelope.case);
    // What a v1 client has sent waits.
    const full = session.extended && session.openBytes > settings.maxOpenRequestBytes;
    if (full && hasAnswer) return "error RATE_LIMITED";
    switch (envelope.case) {
      case "publish": {
        const channel = message.channel || envelope.value.source;
        const problem = this.#publishProblem(channel, envelope.value);
        if (problem !== undefined) return `error ${problem}`;
        return session.requests.add(message, { lanes: [channel], shared: true });
      }
      case "subscribe": {
        const joins = lastEntries(envelope.value.subscriptions);
        return session.requests.add(message, { joins });
      }
      case "unsubscribe": {
        const lanes = envelope.value.subscriptions.map(({ channel }) => channel);
        return session.requests.add(message, { lanes });
      }
      case "historyRequest":
      case "presenceRequest": {
        const { channel } = envelope.value;
        const kind = envelope.case === "historyRequest" ? "history" : "presence";
        const off = kind === "presence" && !settings.rules.of(channel).presence;
        const granted = session.capabilities.includes(kind);
        if (!granted || BAD_CHANNELS.includes(channel) || off) return "error BAD_REQUEST";
        return session.requests.add(message, { lanes: [channel] });
      }
      case "rpcRequest":
        if (invalid(envelope.value)) return "error BAD_REQUEST";
        if (!asks.rpc) return "rpcReply";
        if (session.extended && session.requests.rpcs >= settings.maxInFlightRpcs) {
          return "error RATE_LIMITED";
        }
        return session.requests.add(message, {});
      case "subRefresh":
        return "subRefreshAck";
      case "surveyRequest":
        session.lastSurvey = envelope.value.requestId;
        return "surveyResponse";
      case "surveyResponse": {
        const { payload, requestId } = envelope.value;
        const flawed = payload !== undefined && invalid(payload);
        const taken = surveys.answer(session.id, requestId || session.lastSurvey, flawed);
        return taken ? undefined : "error BAD_REQUEST";
      }
      case "received":
        if (!session.capabilities.includes("credit")) return "error BAD_REQUEST";
        session.flow.receives(Number(envelope.value.bytes));
        return undefined;
    }
  }

  #connects(message: InboundMessage, connect: Connect): string | undefined {
    const session = this.#session;
    const { clientId, clientType, capabilities, subscriptions } = connect;
    if (Buffer.byteLength(clientId) > 255 || Buffer.byteLength(clientType) > 255) {
      return "error BAD_REQUEST";
    }
    session.state = "connecting";
    session.extended = capabilities.length > 0;
    session.capabilities = CAPABILITIES.filter((name) => capabilities.includes(name));
    session.flow.credit = session.capabilities.includes("credit");
    session.clientId = clientId;
    if (subscriptions.length > 0 && this.#switchedOff("subscribe")) return session.doom(3508);
    return session.requests.add(message, { joins: lastEntries(subscriptions), lanes: [] });
  }

  #switchedOff(envelope: string): boolean {
    const { disabledMessages } = this.#session.world.settings;
    return disabledMessages.some((kind) => kind === KINDS[envelope]);
  }

  #publishProblem(channel: string, event: CloudEvent): string | undefined {
    const { publishes, extended, world } = this.#session;
    if (channel === "") return "INTERNAL_ERROR";
    if (BAD_CHANNELS.includes(channel) || invalid(event)) return "BAD_REQUEST";
    if (!publishes.take()) return "RATE_LIMITED";
    const { source, id } = event;
    const named = extended && source !== "" && id !== "";
    const long = Buffer.byteLength(source) + Buffer.byteLength(id) > 1_024;
    const once = world.settings.rules.of(channel).exactlyOnce;
    return named && once && long ? "BAD_REQUEST" : undefined;
  }
}
