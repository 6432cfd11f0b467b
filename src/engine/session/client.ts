/** The client of a session: its identity, and what it can take. */
import { eventForJson, eventForV1 } from "../../protocol/cloudevents.ts";
import type { Encoding } from "../../protocol/codec.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SessionRecord } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Connect } from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { ClientKind } from "../../protocol/publication-frames.ts";
import type { Subject } from "../ports/access.ts";
import type { Caller } from "../ports/backends.ts";
import { type Identity, NOBODY } from "../ports/identity.ts";
import { SubscriptionEnds } from "./expiry/subscription-ends.ts";

/** Capabilities this server grants. Each gates envelopes. */
const CAPABILITIES = [
  "recovery",
  "history",
  "presence",
  "survey",
  "control",
  "credit",
  "refresh",
  "compact",
] as const;
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
  /** Whether the host has let it in by itself, so that no backend is asked for its identity or its rights. */
  admitted: boolean;
  /** The identity that authentication, or the host, gives it; nobody in particular without. */
  identity: Identity;
  #subject: { readonly of: Identity; readonly subject: Subject } | undefined;
  /** Whether the client has been warned that its token expires. */
  expiryTold = false;
  /** Of subscriptions by tokens of their own; made for the first. */
  subscriptionEnds: SubscriptionEnds | undefined;

  /** @param admitted the identity that the host gives it; undefined where it does not know */
  constructor(sessionId: string, encoding: Encoding, admitted: Identity | undefined) {
    this.sessionId = sessionId;
    this.encoding = encoding;
    this.admitted = admitted !== undefined;
    this.identity = admitted ?? NOBODY;
  }

  /** The user, as authentication says; empty without authentication. */
  get userId(): string {
    return this.identity.userId;
  }

  /** Takes what the client says of itself. */
  introduce({ capabilities, clientId, clientType }: Connect): void {
    this.extended = capabilities.length > 0;
    this.#grant(capabilities);
    this.clientId = clientId;
    this.clientType = clientType;
  }

  /**
   * The client as its record says it was.
   *
   * @param identity of the client, by that record
   */
  restore(record: SessionRecord, identity: Identity): void {
    this.extended = record.extended;
    this.#grant(record.capabilities);
    this.clientId = record.clientId;
    this.clientType = record.clientType;
    this.admitted = record.admitted;
    this.identity = identity;
    this.expiryTold = record.expiryTold;
    if (record.subscriptionEnds.length > 0) this.ends.restore(record.subscriptionEnds);
  }

  /** The same to write to. */
  get ends(): SubscriptionEnds {
    this.subscriptionEnds ??= new SubscriptionEnds();
    return this.subscriptionEnds;
  }

  /** A new token gives the client its identity. */
  renew(identity: Identity): void {
    this.identity = identity;
    this.expiryTold = false;
  }

  /** Which messages it takes. */
  get kind(): ClientKind {
    if (!this.extended) return "v1";
    return this.can("compact") ? "compact" : "extended";
  }

  can(capability: Capability): boolean {
    return this.capabilities.includes(capability);
  }

  /** The client, as backends hear of it. */
  get caller(): Caller {
    const { sessionId, clientId, clientType, userId } = this;
    return { sessionId, clientId, clientType, userId };
  }

  /** The client, as the authorizer decides about it: the same object until something of it changes. */
  get subject(): Subject {
    const { identity, clientId } = this;
    const known = this.#subject;
    if (known?.of === identity && known.subject.clientId === clientId) return known.subject;
    const { userId, clientVouched = false, grants } = identity;
    const subject = { userId, clientId, clientVouched, grants };
    this.#subject = { of: identity, subject };
    return subject;
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
