/**
 * Calls from object to object: "call that object with these bytes". Requests and answers are messages of
 * `messageloop.internal.v1`; how they travel is the host's own affair.
 *
 * A call MAY fail although it was carried out, be carried out twice, or never settle: the caller has a
 * deadline of its own, and repeats. Calls on one stub MUST begin in the order in which they were made; there
 * is no order between stubs. Bytes MUST NOT change after they were handed over, and the caller may hand over
 * the same ones again.
 *
 * A call that fails rejects, and its stub is not used again. An error that the called object threw is an
 * Error with `remote: true`, and with the `code` that it had; one that asking again makes worse has
 * `overloaded: true`. These are the names that Workers give them.
 */
import type { NearChannel } from "./near-channel.ts";

export interface ObjectCalls {
  /** A fresh stub of a channel. The first call begins its life. */
  channel(name: string): ChannelStub;
  /** A channel that is on the caller's own thread; undefined for any other, and not there on hosts where none is. */
  near?(name: string): NearChannel | undefined;
  /** A fresh stub of a gateway. */
  gateway(name: string): GatewayStub;
  /** A fresh stub of a pattern index. */
  index(name: string): PatternStub;
  /** A fresh stub of a user. */
  user(id: string): UserStub;
  /** A fresh stub of a region's counters. */
  stats(region: string): StatsStub;
}

export interface ChannelStub {
  /** Takes a RegisterRequest, answers a RegisterResponse. */
  register(request: Uint8Array): Promise<Uint8Array>;
  /**
   * Takes a PublishRequest, answers a PublishResponse once delivery is under way of what was appended. Each
   * item that was not has its error there. The answer may hold a DeliverRequest for the gateway that the request names.
   */
  publish(request: Uint8Array): Promise<Uint8Array>;
  /** Stored entries. Takes a ReadRequest, answers a ReadResponse of at most one batch. */
  read(request: Uint8Array): Promise<Uint8Array>;
  /** A page of history. Takes a HistoryRequest, answers a HistoryResponse of at most one batch. */
  history(request: Uint8Array): Promise<Uint8Array>;
  /** Takes every entry out of history. */
  removeHistory(): Promise<void>;
  /** The members. Takes a PresenceRequest, answers a PresenceResponse. */
  presence(request: Uint8Array): Promise<Uint8Array>;
  /** Which gateways hear the channel, by its name or through a pattern. Answers a GatewaysResponse. */
  gateways(): Promise<Uint8Array>;
  /** One more gateway hears the channel through a pattern. Takes a HearRequest. */
  hear(request: Uint8Array): Promise<void>;
}

export interface GatewayStub {
  /** Entries of a channel. Takes a DeliverRequest, answers a DeliverResponse. */
  deliver(request: Uint8Array): Promise<Uint8Array>;
  /** Something about a session of the gateway. Takes a NodeCall, answers a NodeAnswer. */
  call(request: Uint8Array): Promise<Uint8Array>;
}

export interface PatternStub {
  /**
   * Registers a pattern of a gateway. Takes a PatternSubscribeRequest, answers a PatternSubscribeResponse
   * when every channel that it is for has confirmed or its lease has run out.
   */
  subscribe(request: Uint8Array): Promise<Uint8Array>;
  /** Takes a PatternUnsubscribeRequest. */
  unsubscribe(request: Uint8Array): Promise<void>;
  /** Grants a channel a lease. Takes a LeaseRequest, answers a LeaseResponse. */
  lease(request: Uint8Array): Promise<Uint8Array>;
  /** Channels in which something may have happened. Takes an ActiveRequest, answers an ActiveResponse. */
  active(request: Uint8Array): Promise<Uint8Array>;
}

export interface UserStub {
  /** Sessions have come or gone. Takes a UserSessionsRequest, answers a UserSessionsAnswer. */
  update(request: Uint8Array): Promise<Uint8Array>;
  /** Tokens of the user are good for nothing any more. Takes a Revocation. */
  revoke(request: Uint8Array): Promise<void>;
  /** Answers a UserSessionsResponse. */
  sessions(): Promise<Uint8Array>;
}

export interface StatsStub {
  /** How a channel is. Takes a ReportRequest. */
  report(request: Uint8Array): Promise<void>;
  /** Channels in the order of their names. Takes a ListRequest, answers a ListResponse. */
  list(request: Uint8Array): Promise<Uint8Array>;
  /** What a gateway holds and has counted. Takes a GatewayFigures. */
  count(request: Uint8Array): Promise<void>;
  /** What all gateways of the region hold and have counted. Takes a FiguresRequest, answers a RegionFigures. */
  figures(request: Uint8Array): Promise<Uint8Array>;
}

/** The object at the other end of a stub. What it can answer at once needs no promise. */
export type Called<Stub> = {
  [Method in keyof Stub]: Stub[Method] extends (...request: infer Request) => Promise<infer Answer>
    ? (...request: Request) => Answer | Promise<Answer>
    : never;
};
