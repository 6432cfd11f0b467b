/** Who the client of a session is, and what it can take. Nothing of it changes after connect. */
import { eventForJson, eventForV1 } from "../../protocol/cloudevents.ts";
import type { Encoding } from "../../protocol/codec.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SessionRecord } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Connect } from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { Caller } from "../ports/backends.ts";

/** Capabilities this server grants. Each gates envelopes. */
const CAPABILITIES = ["recovery", "history", "presence", "control", "credit"] as const;
export type Capability = (typeof CAPABILITIES)[number];

export class Client {
  readonly sessionId: string;
  readonly encoding: Encoding;
  /** Whether it has announced capabilities, known here or not; otherwise it is a client of v1. */
  extended = false;
  /** Those that both sides have. */
  capabilities: readonly Capability[] = [];
  /** Its own names for itself; never authenticated. */
  clientId = "";
  clientType = "";
  /** Who authentication says this is; empty without authentication. */
  userId = "";

  constructor(sessionId: string, encoding: Encoding) {
    this.sessionId = sessionId;
    this.encoding = encoding;
  }

  /** Takes what the client says of itself. */
  introduce({ capabilities, clientId, clientType }: Connect): void {
    this.extended = capabilities.length > 0;
    this.#grant(capabilities);
    this.clientId = clientId;
    this.clientType = clientType;
  }

  /** The client as its record says it was. */
  restore({ extended, capabilities, clientId, clientType, userId }: SessionRecord): void {
    this.extended = extended;
    this.#grant(capabilities);
    this.clientId = clientId;
    this.clientType = clientType;
    this.userId = userId;
  }

  can(capability: Capability): boolean {
    return this.capabilities.includes(capability);
  }

  /** The client, as backends are told of it. */
  get caller(): Caller {
    const { sessionId, clientId, clientType, userId } = this;
    return { sessionId, clientId, clientType, userId };
  }

  /** An event that is for this client alone, in the form its kind takes. */
  eventFor(event: CloudEvent): CloudEvent {
    if (!this.extended) return eventForV1(event, event.source);
    return this.encoding === "json" ? eventForJson(event) : event;
  }

  #grant(asked: readonly string[]): void {
    this.capabilities = CAPABILITIES.filter((name) => asked.includes(name));
  }
}
