/**
 * Writes the codecs of the messages that come most, out of their descriptors, as code that does one thing after the
 * other: the runtime walks over a schema for each message, and a table of ours took up to twice the time as well. What
 * the tables below do not name, and what is odd about the rest, is left to the runtime.
 *
 * Argument: the folder to write below, in place of this tree.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import * as events from "../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import * as internal from "../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import * as v1 from "../src/protocol/gen/messageloop/v1/service_pb.js";
import { root } from "./run.mjs";

/** The fields that are read of what clients send, in JSON and in protobuf. */
const INBOUND = new Map([
  [events.CloudEventAttributeValueSchema, "ce_string ce_uri ce_uri_ref"],
  [events.CloudEventSchema, "id source spec_version type attributes binary_data text_data"],
  [v1.StreamPositionSchema, "epoch offset"],
  [v1.SubscriptionSchema, "channel ephemeral token recover since rewind"],
  [
    v1.ConnectSchema,
    "client_id client_type token version subscriptions capabilities max_frame_bytes",
  ],
  [v1.SubscribeSchema, "subscriptions"],
  [
    v1.InboundMessageSchema,
    "id channel method metadata time connect subscribe rpc_request publish again",
  ],
]);

/** Those of what objects send each other, in protobuf. */
const INTERNAL = new Map([
  [v1.PublisherSchema, "client_id user_id session_id"],
  [internal.EntryBodySchema, "event publisher metadata"],
  [internal.EntrySchema, "offset time body"],
  [internal.DeliverRequestSchema, "channel registration epoch prev entries undelivered_time"],
  [internal.PublishItemSchema, "key body transient"],
  [internal.PublishRequestSchema, "items region registration"],
  [internal.PublishResultSchema, "offset duplicate"],
  [internal.PublishResponseSchema, "epoch results delivery"],
]);

/** The fields that are written of what servers answer, in JSON. */
const OUTBOUND = new Map([
  [
    events.CloudEventAttributeValueSchema,
    "ce_boolean ce_integer ce_string ce_bytes ce_uri ce_uri_ref ce_timestamp",
  ],
  [events.CloudEventSchema, "id source spec_version type attributes binary_data text_data"],
  [v1.PublisherSchema, "client_id user_id session_id"],
  [v1.StreamPositionSchema, "epoch offset"],
  [v1.SubscriptionSchema, "channel ephemeral token position"],
  [
    v1.ConnectedSchema,
    "session_id subscriptions capabilities user_id max_message_bytes ping_interval_ms credit_bytes dedup_window_ms",
  ],
  [v1.SubscribeAckSchema, "subscriptions"],
  [v1.PublishAckSchema, "offset epoch duplicate"],
  [v1.PongSchema, ""],
  [v1.OutboundMessageSchema, "id metadata time connected subscribe_ack rpc_reply pong publish_ack"],
]);

/** The oneofs without which a message is not read here. */
const NEEDED = new Set(["attr", "envelope"]);

/** How a scalar is written in TypeScript. What is read from JSON is called `value`; `refused` is what it is not read from. */
const SCALARS = {
  [ScalarType.STRING]: { empty: '""', read: "reader.string(true)", refused: "!isText(value)" },
  [ScalarType.BYTES]: {
    empty: "new Uint8Array()",
    read: "reader.bytes()",
    refused: "!isText(value) || !isBase64(value)",
    fromJson: "base64Decode(value)",
    toJson: (value) => `base64Encode(${value})`,
  },
  [ScalarType.BOOL]: {
    empty: "false",
    read: "reader.bool()",
    refused: 'typeof value !== "boolean"',
  },
  [ScalarType.UINT32]: { empty: "0", read: "reader.uint32()", refused: "!isUint32(value)" },
  [ScalarType.INT32]: { empty: "0" },
  [ScalarType.UINT64]: {
    empty: "0n",
    read: "reader.uint64() as bigint",
    refused: "!isUint64(value)",
    fromJson: "BigInt(value)",
    toJson: (value) => `\`\${${value}}\``,
  },
};
/** Those that stand in protobuf with their length. */
const LONG = new Set([ScalarType.STRING, ScalarType.BYTES]);
const TIMESTAMP = "google.protobuf.Timestamp";
/** Set on an object, a member of this name would be its prototype. */
const PROTOTYPE = '"__proto__"';

const READ = new Map([...INBOUND, ...INTERNAL]);
write("plain-json/gen/blank.ts", READ, blank, [
  "/** Messages without anything in them, for what makes them without the runtime. */",
]);
write("plain-protobuf/gen/read.ts", READ, protobufReader, [
  "/**",
  " * Messages that end at a place of the reader. Undefined, and an error, stand for what the runtime has to read: what is",
  " * seldom, and what is wrong.",
  " */",
  'import type { BinaryReader } from "@bufbuild/protobuf/wire";',
  blanks("../../plain-json/gen/blank.ts", READ),
  'import { nextTag } from "../reader.ts";',
]);
write("plain-json/gen/read.ts", INBOUND, jsonReader, [
  "/** Messages out of their JSON. Undefined stands for what the runtime has to read: what is seldom, and what is wrong. */",
  'import type { JsonValue } from "@bufbuild/protobuf";',
  'import { base64Decode } from "@bufbuild/protobuf/wire";',
  'import { isBase64, isObject } from "../../json-strict.ts";',
  'import { isText, isTextList, isTexts, isUint32, isUint64 } from "../values.ts";',
  blanks("./blank.ts", INBOUND),
]);
write("plain-json/gen/write.ts", OUTBOUND, jsonWriter, [
  "/** Messages as JSON, by the names of the proto files. Undefined stands for what the runtime has to write. */",
  'import { type JsonObject, toJson } from "@bufbuild/protobuf";',
  'import { base64Encode } from "@bufbuild/protobuf/wire";',
  'import { TimestampSchema } from "@bufbuild/protobuf/wkt";',
]);

/** Writes a module of the protocol: one function for each message of a table. */
function write(path, table, functionOf, head) {
  const schemas = [...table.keys()];
  const files = [...new Set(schemas.map(({ file }) => file.name))];
  const lines = [
    "// Written by scripts/plain-codecs.mjs.",
    ...head,
    ...files.map((file) => {
      const names = schemas.filter((schema) => schema.file.name === file).map(({ name }) => name);
      return `import type { ${names.join(", ")} } from "../../gen/${file}_pb.js";`;
    }),
    ...[...table].flatMap(([schema, names]) => {
      const code = functionOf(schema, fieldsOf(schema, names));
      return ["", code.replace(/\n\s*(?=\n)/g, "")];
    }),
  ];
  const file = join(process.argv[2] ?? root, "src/protocol", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, indented(lines.join("\n")));
}

function blanks(path, table) {
  const names = [...table.keys()].map(({ name }) => `blank${name}`).join(", ");
  return `import { ${names} } from "${path}";`;
}

function fieldsOf({ typeName, fields }, names) {
  return names.split(" ").flatMap((name) => {
    if (name === "") return [];
    const field = fields.find((one) => one.name === name);
    if (field === undefined || !isSupported(field))
      throw new Error(`${typeName} has no field ${name} of a kind that is known here`);
    return field;
  });
}

/** Whether the templates say the right thing of a field: lists and maps of scalars are of texts, and none is optional. */
function isSupported({ fieldKind, mapKey, message, proto, scalar }) {
  if (fieldKind === "map" && mapKey !== ScalarType.STRING) return false;
  if (message) return true;
  return fieldKind === "scalar" ? !proto.proto3Optional : scalar === ScalarType.STRING;
}

/** Code with each line as far in as it stands between braces. */
function indented(code) {
  let depth = 0;
  const lines = code.split("\n").map((line) => {
    const text = line.startsWith(" *") ? line : line.trim();
    if (text.startsWith("}")) depth -= 1;
    const indent = "  ".repeat(text === "" ? 0 : depth);
    depth += text.split("{").length - text.split("}").length + (text.startsWith("}") ? 1 : 0);
    return indent + text;
  });
  return `${lines.join("\n")}\n`;
}

function blank({ name, typeName, members }) {
  const values = members.flatMap(({ kind, localName, fieldKind, scalar }) => {
    if (kind === "oneof") return `${localName}: { case: undefined },`;
    if (fieldKind === "message") return [];
    return `${localName}: ${{ list: "[]", map: "{}" }[fieldKind] ?? SCALARS[scalar].empty},`;
  });
  return `export function blank${name}(): ${name} {
    return {
      $typeName: "${typeName}",
      ${values.join("\n")}
    };
  }`;
}

function protobufReader({ name, oneofs }, fields) {
  return `export function read${name}(reader: BinaryReader, end: number): ${name} | undefined {
    const message = blank${name}();
    while (reader.pos < end) {
      switch (nextTag(reader)) {
        ${fields.map(protobufCase).join("\n")}
        default: return undefined;
      }
    }
    if (reader.pos !== end) return undefined;
    ${oneofs.map(refuseWithout).join("\n")}
    return message;
  }`;
}

function refuseWithout({ localName }) {
  if (!NEEDED.has(localName)) return "";
  return `if (message.${localName}.case === undefined) return undefined;`;
}

function protobufCase(field) {
  const { number, fieldKind, localName, scalar, message } = field;
  const isLong = fieldKind === "map" || message || LONG.has(scalar);
  const tag = (number << 3) | (isLong ? WireType.LengthDelimited : WireType.Varint);
  const value = message
    ? `read${message.name}(reader, reader.uint32() + reader.pos)`
    : SCALARS[scalar].read;
  const refusal = message ? "if (value === undefined) return undefined;" : "";
  if (fieldKind !== "map") {
    return `case ${tag}: {
      ${message ? refuseSecond(field) : ""}
      const value = ${value};
      ${refusal}
      ${put(field, "value")}
      break;
    }`;
  }
  // Name and value in this order, and each once, as everybody writes them.
  return `case ${tag}: {
    const entryEnd = reader.uint32() + reader.pos;
    if (nextTag(reader) !== 10) return undefined;
    const name = reader.string(true);
    if (reader.pos >= entryEnd || nextTag(reader) !== 18) return undefined;
    const value = ${value};
    ${refusal}
    if (reader.pos !== entryEnd || name === ${PROTOTYPE}) return undefined;
    message.${localName}[name] = value;
    break;
  }`;
}

/** The runtime makes one message of two, or refuses the second. */
function refuseSecond({ oneof, fieldKind, localName }) {
  if (fieldKind === "list") return "";
  const there = oneof ? `${oneof.localName}.case` : localName;
  return `if (message.${there} !== undefined) return undefined;`;
}

function put({ oneof, fieldKind, localName }, value) {
  if (oneof) return `message.${oneof.localName} = { case: "${localName}", value: ${value} };`;
  if (fieldKind === "list") return `message.${localName}.push(${value});`;
  return `message.${localName} = ${value};`;
}

function jsonReader({ name, oneofs }, fields) {
  const flags = fields.filter(hasFlag).map(({ localName }) => `let ${localName} = false;`);
  return `export function read${name}(json: JsonValue | undefined): ${name} | undefined {
    if (!isObject(json)) return undefined;
    const message = blank${name}();
    ${flags.join("\n")}
    for (const name of Object.keys(json)) {
      const value = json[name];
      switch (name) {
        ${fields.map(jsonCase).join("\n")}
        default: return undefined;
      }
    }
    ${oneofs.map(refuseWithout).join("\n")}
    return message;
  }`;
}

/** Whether it has to be noted that a field was there: it has two spellings, and both at once are one too many. */
function hasFlag({ name, jsonName, oneof }) {
  return name !== jsonName && !oneof;
}

function jsonCase(field) {
  const { name, jsonName, oneof, localName } = field;
  const cases = [...new Set([name, jsonName])].map((one) => `case "${one}":`).join("\n");
  const flag = `if (${localName}) return undefined;\n${localName} = true;`;
  return `${cases} {
    ${oneof ? refuseSecond(field) : ""}
    ${hasFlag(field) ? flag : ""}
    ${jsonValue(field)}
    break;
  }`;
}

function jsonValue(field) {
  const { fieldKind, localName, scalar, message } = field;
  if (message === undefined) {
    const { refused, fromJson = "value" } = SCALARS[scalar];
    if (fieldKind === "scalar") return `if (${refused}) return undefined;\n${put(field, fromJson)}`;
    const isRight = { map: "isTexts(value)", list: "isTextList(value)" }[fieldKind];
    return `if (!${isRight}) return undefined;\nmessage.${localName} = value;`;
  }
  if (fieldKind === "list") {
    return `if (!Array.isArray(value)) return undefined;
    for (const one of value) {
      const member = read${message.name}(one);
      if (member === undefined) return undefined;
      ${put(field, "member")}
    }`;
  }
  if (fieldKind === "map") {
    return `if (!isObject(value)) return undefined;
    for (const key of Object.keys(value)) {
      const member = read${message.name}(value[key]);
      if (member === undefined || key === ${PROTOTYPE} || !isText(key)) return undefined;
      message.${localName}[key] = member;
    }`;
  }
  return `const member = read${message.name}(value);
    if (member === undefined) return undefined;
    ${put(field, "member")}`;
}

function jsonWriter(schema, fields) {
  const lines = schema.members.map((member) => {
    if (member.kind === "oneof") return jsonOneof(member, fields);
    const then = fields.includes(member)
      ? jsonMember(member, `message.${member.localName}`)
      : "return undefined;";
    return `${isThere(member)} ${then}`;
  });
  const type = isWhole(schema) ? "JsonObject" : "JsonObject | undefined";
  const message = lines.length > 0 ? "message" : "_message";
  return `export function ${jsonName(schema)}(${message}: ${schema.name}): ${type} {
    const json: JsonObject = {};
    ${lines.join("\n")}
    return json;
  }`;
}

function jsonName({ name }) {
  return `${name[0].toLowerCase()}${name.slice(1)}Json`;
}

/** The condition of what is written of a field. */
function isThere({ fieldKind, localName, scalar }) {
  const value = `message.${localName}`;
  if (fieldKind === "list") return `if (${value}.length > 0)`;
  if (fieldKind !== "map")
    return `if (${value} !== ${fieldKind === "message" ? undefined : SCALARS[scalar].empty})`;
  return `const ${localName} = Object.keys(${value});\nif (${localName}.length > 0)`;
}

/** Whether the writer leaves nothing of a message to the runtime. */
function isWhole(schema) {
  return (
    fieldsOf(schema, OUTBOUND.get(schema)).length === schema.fields.length &&
    schema.fields.every(
      ({ fieldKind, message }) =>
        !message || message.typeName === TIMESTAMP || (fieldKind !== "map" && isWhole(message)),
    )
  );
}

function jsonOneof({ localName, fields }, written) {
  const value = `message.${localName}`;
  const cases = fields.flatMap((field) =>
    written.includes(field)
      ? `case "${field.localName}": {
          ${jsonMember(field, `${value}.value`)}
          break;
        }`
      : [],
  );
  const rest = cases.length < fields.length ? "default: return undefined;" : "default:";
  return `switch (${value}.case) {
    ${cases.join("\n")}
    case undefined: break;
    ${rest}
  }`;
}

function jsonMember({ name, localName, fieldKind, scalar, message }, value) {
  if (message?.typeName === TIMESTAMP)
    return `json["${name}"] = toJson(TimestampSchema, ${value});`;
  if (message === undefined) {
    const { toJson = (same) => same } = fieldKind === "scalar" ? SCALARS[scalar] : {};
    return `json["${name}"] = ${toJson(value)};`;
  }
  const refusal = isWhole(message) ? "" : "if (member === undefined) return undefined;";
  if (fieldKind === "list") {
    return `{
      const list: JsonObject[] = [];
      for (const one of ${value}) {
        const member = ${jsonName(message)}(one);
        ${refusal}
        list.push(member);
      }
      json["${name}"] = list;
    }`;
  }
  if (fieldKind === "map") {
    return `{
      const members: JsonObject = {};
      for (const key of ${localName}) {
        if (key === ${PROTOTYPE}) return undefined;
        const member = ${jsonName(message)}(${value}[key] as ${message.name});
        ${refusal}
        members[key] = member;
      }
      json["${name}"] = members;
    }`;
  }
  return `{
    const member = ${jsonName(message)}(${value});
    ${refusal}
    json["${name}"] = member;
  }`;
}
