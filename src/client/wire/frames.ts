/**
 * The frames of the protocol as plain objects. Names are those of the wire's JSON, so that JSON needs no translation;
 * what JSON leaves out because it is empty may be missing here as well, and a member that is undefined is not there.
 * 64-bit integers are numbers, and bytes are a `Uint8Array` whatever the encoding.
 */

/** A whole message of a transport: text for JSON, bytes for protobuf. */
export type Frame = string | Uint8Array<ArrayBuffer>;

/** A place in a channel's log. Of a pattern the offset is a time in Unix milliseconds. */
export interface Position {
  /** One life of the log. Never empty. */
  readonly epoch: string;
  /** Dense per channel from 1; 0, or left out, is the place before the first message. */
  readonly offset?: number;
}

/** Exactly one member is there. */
export interface WireAttribute {
  readonly ce_boolean?: boolean;
  readonly ce_integer?: number;
  readonly ce_string?: string;
  readonly ce_bytes?: Uint8Array<ArrayBuffer>;
  readonly ce_uri?: string;
  readonly ce_uri_ref?: string;
  /** RFC 3339. */
  readonly ce_timestamp?: string;
}

/** A CloudEvent. At most one kind of data is there. */
export interface WireEvent {
  readonly id?: string;
  readonly source?: string;
  readonly spec_version?: string;
  readonly type?: string;
  readonly attributes?: Readonly<Record<string, WireAttribute>>;
  readonly binary_data?: Uint8Array<ArrayBuffer>;
  readonly text_data?: string;
  /** A text that is JSON, out of a compact frame: what it means. It is written as `JSON.stringify` writes it. */
  readonly json_data?: unknown;
  /** In protobuf only, and there for what is sent alone: what comes is `binary_data`, as on JSON connections. */
  readonly proto_data?: { readonly type_url?: string; readonly value?: Uint8Array<ArrayBuffer> };
}

export interface WireError {
  readonly code?: string | undefined;
  readonly type?: string | undefined;
  readonly message?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A subscription as it is asked for. */
export interface SubscriptionRequest {
  /** A channel or a pattern. */
  readonly channel: string;
  readonly ephemeral?: boolean | undefined;
  readonly token?: string | undefined;
  readonly recover?: boolean | undefined;
  readonly since?: Position | undefined;
  readonly rewind?: number | undefined;
  readonly positions?: Readonly<Record<string, Position>> | undefined;
}

/** A subscription as it is acknowledged. */
export interface SubscriptionAnswer {
  readonly channel?: string;
  readonly position?: Position;
  readonly error?: WireError;
}

export interface ConnectRequest {
  readonly client_id?: string | undefined;
  readonly client_type?: string | undefined;
  readonly token?: string | undefined;
  readonly version?: string | undefined;
  readonly subscriptions?: readonly SubscriptionRequest[] | undefined;
  readonly capabilities?: readonly string[] | undefined;
  /** The largest message that the client reads, in bytes. */
  readonly max_frame_bytes?: number | undefined;
}

/** From client to server. Beside `id`, `channel`, `method`, `metadata`, `time` and `again` exactly one member is there. */
export interface InboundFrame {
  readonly id?: string | undefined;
  readonly channel?: string | undefined;
  readonly method?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Client clock, Unix milliseconds. */
  readonly time?: number | undefined;
  readonly connect?: ConnectRequest | undefined;
  readonly subscribe?: { readonly subscriptions: readonly SubscriptionRequest[] };
  readonly unsubscribe?: { readonly subscriptions: readonly SubscriptionRequest[] };
  readonly rpc_request?: WireEvent | undefined;
  readonly ping?: Readonly<Record<string, never>> | undefined;
  readonly publish?: WireEvent | undefined;
  /** Of a publish: it may have been published before. */
  readonly again?: boolean | undefined;
  readonly sub_refresh?: {
    readonly channels?: readonly string[] | undefined;
    readonly tokens?: Readonly<Record<string, string>> | undefined;
  };
  readonly survey_request?: {
    readonly request_id?: string | undefined;
    readonly payload?: WireEvent | undefined;
    readonly timeout_ms?: number | undefined;
    readonly others_only?: boolean | undefined;
  };
  readonly survey_response?: {
    readonly request_id?: string | undefined;
    readonly payload?: WireEvent | undefined;
    readonly error?: WireError | undefined;
  };
  readonly received?: { readonly bytes: number };
  readonly history_request?: {
    readonly channel: string;
    readonly since?: Position | undefined;
    readonly limit?: number | undefined;
    readonly reverse?: boolean | undefined;
  };
  readonly presence_request?: { readonly channel: string };
  readonly refresh?: { readonly token: string };
}

export interface WirePublisher {
  readonly client_id?: string;
  readonly user_id?: string;
  readonly session_id?: string;
}

export interface WireMessage {
  readonly id?: string;
  readonly channel?: string;
  readonly offset?: number;
  readonly payload?: WireEvent;
  readonly epoch?: string;
  readonly time?: number;
  readonly replay?: boolean;
  readonly publisher?: WirePublisher;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface WirePublication {
  readonly messages?: readonly WireMessage[];
}

/** A message of a compact frame without what it shares, or what messages share. */
export interface WireCompactMessage extends WireEvent, Pick<WireMessage, "publisher" | "metadata"> {
  /** Which context has the rest, from 0. */
  readonly context?: number;
  /** Milliseconds after the frame's time. */
  readonly later?: number;
  readonly time?: number;
  readonly message_id?: string;
}

/** Messages of one channel, which codecs make a publication of. */
export interface WireCompact {
  readonly channel?: string;
  readonly epoch?: string;
  /** Of the first message. */
  readonly offset?: number;
  readonly time?: number;
  readonly replay?: boolean;
  readonly contexts?: readonly WireCompactMessage[];
  readonly messages?: readonly WireCompactMessage[];
}

export interface WireGap {
  readonly channel?: string;
  readonly reason?: string;
  readonly after?: Position | undefined;
  readonly until?: Position;
}

export interface WireMember {
  readonly user_id?: string;
  readonly client_id?: string;
  readonly session_id?: string;
  readonly time?: number;
}

export interface WireGeneration {
  readonly epoch?: string;
  readonly number?: number;
}

export interface ConnectedFrame {
  readonly session_id?: string;
  readonly subscriptions?: readonly SubscriptionAnswer[];
  readonly publications?: readonly WirePublication[];
  readonly capabilities?: readonly string[];
  readonly user_id?: string;
  readonly max_message_bytes?: number;
  readonly ping_interval_ms?: number;
  readonly credit_bytes?: number;
  readonly dedup_window_ms?: number;
}

export interface WireSurveyAnswer {
  readonly session_id?: string;
  readonly user_id?: string;
  readonly client_id?: string;
  readonly payload?: WireEvent;
  readonly error?: WireError;
}

/**
 * From server to client. Beside `id`, `metadata`, `time` and `only` at most one member is there; none is one of a later
 * version.
 */
export interface OutboundFrame {
  readonly id?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Server clock, Unix milliseconds. */
  readonly time?: number;
  /**
   * The subscription, by its channel or pattern, that alone the frame is of; it stands first. Of transports that have a
   * connection for each, which say it of all that comes of any, and never of a server.
   */
  readonly only?: string;
  readonly error?: WireError;
  readonly connected?: ConnectedFrame;
  readonly subscribe_ack?: { readonly subscriptions?: readonly SubscriptionAnswer[] };
  readonly unsubscribe_ack?: { readonly subscriptions?: readonly SubscriptionAnswer[] };
  readonly rpc_reply?: WireEvent;
  readonly pong?: object;
  readonly publish_ack?: {
    readonly offset?: number;
    readonly epoch?: string;
    readonly duplicate?: boolean;
  };
  readonly publication?: WirePublication;
  readonly sub_refresh_ack?: { readonly subscriptions?: readonly SubscriptionAnswer[] };
  readonly survey_request?: { readonly request_id?: string; readonly payload?: WireEvent };
  readonly survey_response?: {
    readonly request_id?: string;
    readonly payload?: WireEvent;
    readonly error?: WireError;
  };
  readonly disconnect?: {
    readonly code?: number;
    readonly reason?: string;
    readonly reconnect?: boolean;
    readonly retry_after_ms?: number;
  };
  readonly recovered?: {
    readonly channel?: string;
    readonly position?: Position;
    readonly gap?: WireGap;
  };
  readonly gap?: WireGap;
  readonly history?: {
    readonly channel?: string;
    readonly messages?: readonly WireMessage[];
    readonly position?: Position;
    readonly gap?: WireGap;
    readonly more?: boolean;
  };
  readonly presence?: {
    readonly channel?: string;
    readonly members?: readonly WireMember[];
    readonly total?: number;
    readonly generation?: WireGeneration;
  };
  readonly presence_event?: {
    readonly channel?: string;
    readonly join?: WireMember;
    readonly leave?: WireMember;
    readonly generation?: WireGeneration;
  };
  readonly opened?: {
    readonly session_id?: string;
    readonly secret?: string;
    readonly heartbeat_interval_ms?: number;
  };
  readonly subscribed?: { readonly subscriptions?: readonly SubscriptionAnswer[] };
  readonly unsubscribed?: { readonly subscriptions?: readonly SubscriptionAnswer[] };
  readonly survey_result?: {
    readonly request_id?: string;
    readonly answers?: readonly WireSurveyAnswer[];
    readonly silent?: readonly string[];
    readonly unreached?: readonly { readonly node?: string; readonly reason?: string }[];
    readonly more?: boolean;
  };
  readonly refresh_ack?: { readonly expires_at?: number };
  readonly token_expiring?: { readonly expires_at?: number; readonly channels?: readonly string[] };
}

/** What a server writes, of which codecs make the other. */
export interface ReceivedFrame extends OutboundFrame {
  readonly compact?: WireCompact;
}

/** One encoding of frames. */
export interface Codec {
  /** What the handshake asks for. */
  readonly subprotocol: string;
  encode(frame: InboundFrame): Frame;
  /**
   * Takes text on a protobuf connection as JSON.
   *
   * @throws MessagingError BAD_REQUEST for what is no frame, and for integers beyond 2^53 - 1
   */
  decode(frame: Frame): OutboundFrame;
}
