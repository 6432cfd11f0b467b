/**
 * How a session begins, in JSON without the runtime: connect and subscribe, and their answers. When all clients come
 * back at once that is most of what a server does. What is seldom in them is left to the runtime.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type {
  Connect,
  Connected,
  StreamPosition,
  Subscribe,
  SubscribeAck,
  Subscription,
} from "../gen/messageloop/v1/service_pb.js";
import { isObject } from "../json-strict.ts";
import { blankConnect, blankSubscription } from "./blank.ts";
import { isText } from "./event.ts";

/** A 64-bit number as SDKs write it. Any other form is for the runtime. */
export const NUMBER = /^(?:0|[1-9]\d{0,18})$/;
const MAX_UINT32 = 0xffff_ffff;

/** @returns undefined where the runtime has to say what it is */
export function plainConnect(json: JsonValue | undefined): Connect | undefined {
  if (!isObject(json)) return undefined;
  const connect = blankConnect();
  for (const name of Object.keys(json)) {
    const value = json[name] as JsonValue;
    switch (name) {
      case "client_id":
        if (!isText(value)) return undefined;
        connect.clientId = value;
        break;
      case "client_type":
        if (!isText(value)) return undefined;
        connect.clientType = value;
        break;
      case "token":
      case "version":
        if (!isText(value)) return undefined;
        connect[name] = value;
        break;
      case "subscriptions": {
        const subscriptions = plainSubscriptions(value);
        if (subscriptions === undefined) return undefined;
        connect.subscriptions = subscriptions;
        break;
      }
      case "capabilities":
        if (!Array.isArray(value) || !value.every(isText)) return undefined;
        connect.capabilities = value;
        break;
      case "max_frame_bytes":
        if (!isUint32(value)) return undefined;
        connect.maxFrameBytes = value;
        break;
      default:
        return undefined;
    }
  }
  return connect;
}

/** @returns undefined where the runtime has to say what it is */
export function plainSubscribe(json: JsonValue | undefined): Subscribe | undefined {
  if (!isObject(json)) return undefined;
  const [name, ...others] = Object.keys(json);
  if (name !== "subscriptions" || others.length > 0) return undefined;
  const subscriptions = plainSubscriptions(json[name] as JsonValue);
  return subscriptions && { $typeName: "messageloop.v1.Subscribe", subscriptions };
}

function plainSubscriptions(json: JsonValue): Subscription[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const subscriptions: Subscription[] = [];
  for (const each of json) {
    const subscription = plainSubscription(each);
    if (subscription === undefined) return undefined;
    subscriptions.push(subscription);
  }
  return subscriptions;
}

function plainSubscription(json: JsonValue): Subscription | undefined {
  if (!isObject(json)) return undefined;
  const subscription = blankSubscription();
  for (const name of Object.keys(json)) {
    const value = json[name] as JsonValue;
    switch (name) {
      case "channel":
      case "token":
        if (!isText(value)) return undefined;
        subscription[name] = value;
        break;
      case "ephemeral":
      case "recover":
        if (typeof value !== "boolean") return undefined;
        subscription[name] = value;
        break;
      case "rewind":
        if (!isUint32(value)) return undefined;
        subscription.rewind = value;
        break;
      case "since": {
        const since = plainPosition(value);
        if (since === undefined) return undefined;
        subscription.since = since;
        break;
      }
      default:
        return undefined;
    }
  }
  return subscription;
}

function plainPosition(json: JsonValue): StreamPosition | undefined {
  if (!isObject(json)) return undefined;
  const { epoch = "", offset = "0", ...others } = json as JsonObject;
  if (!isText(epoch) || typeof offset !== "string" || !NUMBER.test(offset)) return undefined;
  if (Object.keys(others).length > 0) return undefined;
  return { $typeName: "messageloop.v1.StreamPosition", epoch, offset: BigInt(offset) };
}

function isUint32(json: JsonValue): json is number {
  return Number.isInteger(json) && (json as number) >= 0 && (json as number) <= MAX_UINT32;
}

/** @returns undefined where the runtime has to write it */
export function connectedJson(connected: Connected): JsonObject | undefined {
  const { sessionId, subscriptions, publications, capabilities, userId } = connected;
  const { maxMessageBytes, pingIntervalMs, creditBytes, dedupWindowMs } = connected;
  if (publications.length > 0) return undefined;
  const json: JsonObject = {};
  if (sessionId !== "") json["session_id"] = sessionId;
  if (subscriptions.length > 0) {
    const list = subscriptionsJson(subscriptions);
    if (list === undefined) return undefined;
    json["subscriptions"] = list;
  }
  if (capabilities.length > 0) json["capabilities"] = capabilities;
  if (userId !== "") json["user_id"] = userId;
  if (maxMessageBytes !== 0) json["max_message_bytes"] = maxMessageBytes;
  if (pingIntervalMs !== 0) json["ping_interval_ms"] = pingIntervalMs;
  if (creditBytes !== 0n) json["credit_bytes"] = `${creditBytes}`;
  if (dedupWindowMs !== 0) json["dedup_window_ms"] = dedupWindowMs;
  return json;
}

/** @returns undefined where the runtime has to write it */
export function subscribeAckJson({ subscriptions }: SubscribeAck): JsonObject | undefined {
  if (subscriptions.length === 0) return {};
  const list = subscriptionsJson(subscriptions);
  return list && { subscriptions: list };
}

function subscriptionsJson(subscriptions: readonly Subscription[]): JsonObject[] | undefined {
  const list: JsonObject[] = [];
  for (const subscription of subscriptions) {
    if (!isAnswer(subscription)) return undefined;
    const { channel, ephemeral, token, position } = subscription;
    const json: JsonObject = {};
    if (channel !== "") json["channel"] = channel;
    if (ephemeral) json["ephemeral"] = true;
    if (token !== "") json["token"] = token;
    if (position !== undefined) {
      const { epoch, offset } = position;
      const place: JsonObject = {};
      if (epoch !== "") place["epoch"] = epoch;
      if (offset !== 0n) place["offset"] = `${offset}`;
      json["position"] = place;
    }
    list.push(json);
  }
  return list;
}

/** Whether a subscription holds what is acknowledged of one that was granted, and nothing else. */
export function isAnswer({ recover, since, rewind, positions, error }: Subscription): boolean {
  if (recover || since !== undefined || rewind !== 0 || error !== undefined) return false;
  return Object.keys(positions).length === 0;
}
