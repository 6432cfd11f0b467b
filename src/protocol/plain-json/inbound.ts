/**
 * Frames that clients send most, publishes, RPCs and those that begin a session, in JSON without the runtime, which walks
 * over a schema for them. All other frames are left to it.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import type { InboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { isObject } from "../json-strict.ts";
import { blankInbound } from "./blank.ts";
import { isText, plainEvent } from "./event.ts";
import { NUMBER, plainConnect, plainSubscribe } from "./sessions.ts";

/**
 * A publish, an RPC, a connect or a subscribe out of its protobuf JSON.
 *
 * @returns undefined where it is another request, or holds anything that is seldom, or wrong: then the runtime has to
 * say what it is
 */
export function plainInbound(json: JsonValue): InboundMessage | undefined {
  if (!isObject(json)) return undefined;
  const message = blankInbound();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "id":
      case "channel":
      case "method":
        if (!isText(value)) return undefined;
        message[name] = value;
        break;
      case "metadata":
        if (!isTexts(value)) return undefined;
        message.metadata = value;
        break;
      case "time":
        if (typeof value !== "string" || !NUMBER.test(value)) return undefined;
        message.time = BigInt(value);
        break;
      case "again":
        if (typeof value !== "boolean") return undefined;
        message.again = value;
        break;
      case "publish":
      case "rpc_request": {
        const event = plainEvent(value);
        if (event === undefined || message.envelope.case !== undefined) return undefined;
        const kind = name === "publish" ? name : "rpcRequest";
        message.envelope = { case: kind, value: event };
        break;
      }
      case "connect": {
        const connect = plainConnect(value);
        if (connect === undefined || message.envelope.case !== undefined) return undefined;
        message.envelope = { case: name, value: connect };
        break;
      }
      case "subscribe": {
        const subscribe = plainSubscribe(value);
        if (subscribe === undefined || message.envelope.case !== undefined) return undefined;
        message.envelope = { case: name, value: subscribe };
        break;
      }
      default:
        return undefined;
    }
  }
  return message.envelope.case === undefined ? undefined : message;
}

function isTexts(json: JsonValue | undefined): json is { [name: string]: string } {
  if (!isObject(json)) return false;
  return Object.keys(json).every((name) => isText(name) && isText(json[name]));
}
