#!/bin/sh
# cloudevents 10.0.0 with kafkajs 2.2.4 (npm), on Node 24.21 and 20.20.
#
# Behaviour: the Kafka binding of the SDK does not fit the Kafka client of the same language. What Kafka.binary makes of
#   an event, kafkajs cannot send: optional attributes stand in `headers` as undefined, number and boolean extensions as
#   numbers and booleans, and `value` is the data object itself. What kafkajs has received, Kafka.toEvent cannot read:
#   kafkajs hands over all header values as Buffers, and both modes end with "startsWith is not a function". With the
#   headers turned into strings it works, but data without datacontenttype comes back as bytes (the binary form of an
#   event without one is written as JSON by nobody), and in structured mode the event's own partitionkey is replaced by
#   the message's key, also where there is none.
# One would expect: producer.send({ messages: [Kafka.binary(event)] }) and Kafka.toEvent(message) to be the two ends.
# Seen: encoder of kafkajs: TypeError; toEvent of a received message: TypeError in both modes; strings: read.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 kafkajs@2.2.4
cat > run.cjs <<'JS'
const { CloudEvent, Kafka } = require("cloudevents");
// The coder and decoder of one record that kafkajs uses on its connections; no broker is needed to see them.
const encodeRecord = require("kafkajs/src/protocol/recordBatch/record/v0");
const decodeRecord = require("kafkajs/src/protocol/recordBatch/record/v0/decoder");
const Decoder = require("kafkajs/src/protocol/decoder");
const tried = (action) => { try { return action(); } catch (error) { return `${error.name}: ${error.message}`; } };
const received = (message) => {
  const decoder = new Decoder(encodeRecord(message).buffer);
  decoder.readVarInt();
  return decodeRecord(decoder, { firstOffset: 0, firstTimestamp: 0, magicByte: 2 });
};
const strings = (headers) => Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]));
const event = new CloudEvent({ id: "1", source: "/s", type: "t", datacontenttype: "application/json", partitionkey: "k", count: 5, data: { a: 1 } });
const binary = Kafka.binary(event);
const structured = Kafka.structured(event);
const sent = tried(() => received({ key: binary.key, value: binary.value, headers: binary.headers }));
const byHand = received({ key: "k", value: JSON.stringify(event.data), headers: strings(binary.headers) });
const asText = { ...byHand, headers: strings(byHand.headers) };
const back = tried(() => Kafka.toEvent(asText));
const structuredBack = received({ key: structured.key, value: structured.value, headers: structured.headers });
const keyless = { key: null, value: structured.value, headers: structured.headers };
const seen = {
  undefinedHeaders: Object.keys(binary.headers).filter((name) => binary.headers[name] === undefined).length > 0,
  typeOfCount: typeof binary.headers.ce_count,
  typeOfValue: typeof binary.value,
  sent,
  headersAreBuffers: Object.values(byHand.headers).every(Buffer.isBuffer),
  binaryRead: tried(() => Kafka.toEvent(byHand)),
  structuredRead: tried(() => Kafka.toEvent(structuredBack)),
  withStrings: back.data?.a,
  countIs: back.count,
  keyless: tried(() => String(Kafka.toEvent(keyless).partitionkey)),
};
console.log(seen);
const described = seen.undefinedHeaders && seen.typeOfCount === "number" && seen.typeOfValue === "object" && /^TypeError/.test(sent)
  && seen.headersAreBuffers && /startsWith is not a function/.test(seen.binaryRead) && /startsWith is not a function/.test(seen.structuredRead)
  && seen.withStrings === 1 && seen.countIs === "5" && seen.keyless !== "k";
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.cjs
