/** Messages without anything in them, for what reads them without the runtime. */
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Connect, InboundMessage, Subscription } from "../gen/messageloop/v1/service_pb.js";

export function blankEvent(): CloudEvent {
  return {
    $typeName: "io.cloudevents.v1.CloudEvent",
    id: "",
    source: "",
    specVersion: "",
    type: "",
    attributes: {},
    data: { case: undefined },
  };
}

export function blankInbound(): InboundMessage {
  return {
    $typeName: "messageloop.v1.InboundMessage",
    id: "",
    channel: "",
    method: "",
    metadata: {},
    time: 0n,
    envelope: { case: undefined },
    again: false,
  };
}

export function blankConnect(): Connect {
  return {
    $typeName: "messageloop.v1.Connect",
    clientId: "",
    clientType: "",
    token: "",
    version: "",
    subscriptions: [],
    capabilities: [],
    maxFrameBytes: 0,
  };
}

export function blankSubscription(): Subscription {
  return {
    $typeName: "messageloop.v1.Subscription",
    channel: "",
    ephemeral: false,
    token: "",
    recover: false,
    rewind: 0,
    positions: {},
  };
}
