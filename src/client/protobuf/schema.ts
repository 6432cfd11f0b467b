/**
 * The client protocol as a table: field number, name and type of every message that a client reads or writes. What
 * proto/messageloop/v1/service.proto says, in as few bytes as it takes; a test holds both against each other.
 */

/**
 * Types: `s` text, `b` bytes, `t` boolean, `u` integer, `i` integer with sign, `T` timestamp as text, `S` Struct as an
 * object, `V` Value as what it holds, else a message. `*` is a list, `%` a map from text.
 */
const TEXT = `
Event 1id:s 2source:s 3spec_version:s 4type:s 5attributes:%Attribute 6binary_data:b 7text_data:s 8proto_data:Any
Attribute 1ce_boolean:t 2ce_integer:i 3ce_string:s 4ce_bytes:b 5ce_uri:s 6ce_uri_ref:s 7ce_timestamp:T
Any 1type_url:s 2value:b
Error 1code:s 2type:s 3message:s 4metadata:S
Position 1epoch:s 2offset:u
Subscription 1channel:s 2ephemeral:t 3token:s 16recover:t 17since:Position 18rewind:u 19positions:%Position 20position:Position 21error:Error
Subscriptions 1subscriptions:*Subscription
RefreshedSubscriptions 16subscriptions:*Subscription
Connect 1client_id:s 2client_type:s 3token:s 4version:s 5subscriptions:*Subscription 16capabilities:*s 17max_frame_bytes:u
Connected 1session_id:s 2subscriptions:*Subscription 3publications:*Publication 16capabilities:*s 17user_id:s 18max_message_bytes:u 19ping_interval_ms:u 20credit_bytes:u 21dedup_window_ms:u
Empty
Publication 3messages:*Message
Publisher 1client_id:s 2user_id:s 3session_id:s
Message 1id:s 2channel:s 3offset:u 4payload:Event 16epoch:s 17time:u 18replay:t 19publisher:Publisher 20metadata:%s
Compact 1channel:s 2epoch:s 3offset:u 4time:u 5replay:t 6contexts:*CompactMessage 7messages:*CompactMessage
CompactMessage 1id:s 2source:s 3spec_version:s 4type:s 5attributes:%Attribute 6binary_data:b 7text_data:s 8proto_data:Any 9context:u 10later:u 11time:u 12message_id:s 13publisher:Publisher 14metadata:%s 15json_data:V
PublishAck 1offset:u 16epoch:s 17duplicate:t
SubRefresh 1channels:*s 16tokens:%s
SurveyRequest 1request_id:s 2payload:Event 16timeout_ms:u 17others_only:t
SurveyResponse 1request_id:s 2payload:Event 3error:Error
SurveyAnswer 1session_id:s 2payload:Event 3error:Error 4user_id:s 5client_id:s
UnreachedNode 1node:s 2reason:s
SurveyResult 1request_id:s 2answers:*SurveyAnswer 3silent:*s 4unreached:*UnreachedNode 5more:t
Received 1bytes:u
HistoryRequest 1channel:s 2since:Position 3limit:i 4reverse:t
History 1channel:s 2messages:*Message 3position:Position 4gap:Gap 5more:t
Gap 1channel:s 2reason:s 3after:Position 4until:Position
Recovered 1channel:s 2position:Position 3gap:Gap
PresenceRequest 1channel:s
Member 1user_id:s 2client_id:s 3session_id:s 4time:u
Generation 1epoch:s 2number:u
Presence 1channel:s 2members:*Member 3total:u 4generation:Generation
PresenceEvent 1channel:s 2join:Member 3leave:Member 4generation:Generation
Disconnect 1code:u 2reason:s 3reconnect:t 4retry_after_ms:u
Opened 1session_id:s 2secret:s 3heartbeat_interval_ms:u
Refresh 1token:s
RefreshAck 1expires_at:u
TokenExpiring 1expires_at:u 2channels:*s
Inbound 1id:s 2channel:s 3method:s 4metadata:%s 5time:u 11connect:Connect 12subscribe:Subscriptions 13unsubscribe:Subscriptions 14rpc_request:Event 15ping:Empty 16publish:Event 17sub_refresh:SubRefresh 20survey_request:SurveyRequest 21survey_response:SurveyResponse 32received:Received 33history_request:HistoryRequest 34presence_request:PresenceRequest 35refresh:Refresh 36again:t
Outbound 1id:s 2metadata:%s 3time:u 11error:Error 12connected:Connected 13subscribe_ack:Subscriptions 14unsubscribe_ack:Subscriptions 15rpc_reply:Event 16pong:Empty 17publish_ack:PublishAck 18publication:Publication 19sub_refresh_ack:RefreshedSubscriptions 20survey_request:SurveyRequest 21survey_response:SurveyResponse 32disconnect:Disconnect 33recovered:Recovered 34gap:Gap 35history:History 36presence:Presence 37presence_event:PresenceEvent 38opened:Opened 39subscribed:Subscriptions 40unsubscribed:Subscriptions 41survey_result:SurveyResult 42refresh_ack:RefreshAck 43token_expiring:TokenExpiring 44compact:Compact`;

/** What was read last, if it is short. */
export interface Memory {
  last: string;
}

export interface Field extends Memory {
  readonly number: number;
  readonly name: string;
  /** "" for a single value. */
  readonly many: "" | "*" | "%";
  /** A scalar's letter, or the name of a message. */
  readonly type: string;
  /** How it stands in a message: 0 a number, 2 with a length. */
  readonly wire: number;
  /** Those of the message that it is, by their numbers. */
  fields: Fields;
}

/** The fields of a message, by number. */
export type Fields = readonly (Field | undefined)[];
/** The fields of a message, by number and by name. */
export type Shape = ReadonlyMap<number | string, Field>;

const NO_FIELDS: Fields = [];

export const SHAPES: ReadonlyMap<string, Shape> = new Map(
  TEXT.trim()
    .split("\n")
    .map((line) => {
      const [name = "", ...fields] = line.split(" ");
      return [name, new Map(fields.flatMap(read))];
    }),
);

/** The fields of each message, by its name. */
export const FIELDS: ReadonlyMap<string, Fields> = new Map(
  [...SHAPES].map(([name, shape]) => {
    const fields: (Field | undefined)[] = [];
    for (const field of shape.values()) fields[field.number] = field;
    return [name, fields];
  }),
);
for (const shape of SHAPES.values()) {
  for (const field of shape.values()) field.fields = FIELDS.get(field.type) ?? NO_FIELDS;
}

function read(text: string): [number | string, Field][] {
  const [, number, name = "", many, type = ""] = /^(\d+)(\w+):([*%]?)(\w+)$/.exec(text) ?? [];
  const wire = many !== "%" && /^[tui]$/.test(type) ? 0 : 2;
  const field: Field = {
    ...{ number: Number(number), name, many: many as Field["many"], type, wire, last: "" },
    fields: NO_FIELDS,
  };
  return [
    [field.number, field],
    [name, field],
  ];
}
