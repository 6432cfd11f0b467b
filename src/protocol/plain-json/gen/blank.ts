// Written by scripts/plain-codecs.mjs.
/** Messages without anything in them, for what makes them without the runtime. */
import type { CloudEventAttributeValue, CloudEvent } from "../../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { StreamPosition, Subscription, Connect, Subscribe, InboundMessage, Publisher } from "../../gen/messageloop/v1/service_pb.js";
import type { EntryBody, Entry, DeliverRequest, PublishItem, PublishRequest, PublishResult, PublishResponse } from "../../gen/messageloop/internal/v1/internal_pb.js";

export function blankCloudEventAttributeValue(): CloudEventAttributeValue {
  return {
    $typeName: "io.cloudevents.v1.CloudEventAttributeValue",
    attr: { case: undefined },
  };
}

export function blankCloudEvent(): CloudEvent {
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

export function blankStreamPosition(): StreamPosition {
  return {
    $typeName: "messageloop.v1.StreamPosition",
    epoch: "",
    offset: 0n,
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

export function blankSubscribe(): Subscribe {
  return {
    $typeName: "messageloop.v1.Subscribe",
    subscriptions: [],
  };
}

export function blankInboundMessage(): InboundMessage {
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

export function blankPublisher(): Publisher {
  return {
    $typeName: "messageloop.v1.Publisher",
    clientId: "",
    userId: "",
    sessionId: "",
  };
}

export function blankEntryBody(): EntryBody {
  return {
    $typeName: "messageloop.internal.v1.EntryBody",
    event: new Uint8Array(),
    metadata: {},
  };
}

export function blankEntry(): Entry {
  return {
    $typeName: "messageloop.internal.v1.Entry",
    offset: 0n,
    time: 0n,
  };
}

export function blankDeliverRequest(): DeliverRequest {
  return {
    $typeName: "messageloop.internal.v1.DeliverRequest",
    channel: "",
    registration: "",
    epoch: "",
    prev: 0n,
    entries: [],
    presence: [],
    presenceLost: false,
    undeliveredTime: 0n,
    transients: [],
  };
}

export function blankPublishItem(): PublishItem {
  return {
    $typeName: "messageloop.internal.v1.PublishItem",
    key: "",
    body: new Uint8Array(),
    transient: false,
  };
}

export function blankPublishRequest(): PublishRequest {
  return {
    $typeName: "messageloop.internal.v1.PublishRequest",
    items: [],
    region: "",
    registration: "",
  };
}

export function blankPublishResult(): PublishResult {
  return {
    $typeName: "messageloop.internal.v1.PublishResult",
    offset: 0n,
    duplicate: false,
  };
}

export function blankPublishResponse(): PublishResponse {
  return {
    $typeName: "messageloop.internal.v1.PublishResponse",
    epoch: "",
    results: [],
  };
}
