/**
 * Reads frames as strictly as the v0.1.1 Go SDK must be assumed to: a frame is what v0.1.1 knows, or
 * it is refused. It uses its own schema, written from the description of v0.1.1, so that a mistake
 * in ours cannot hide. It needs no test runner.
 */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import {
  type CloudEvent,
  type OutboundMessage,
  OutboundMessageSchema,
  type Publication,
} from "../fixtures/wire-v1/gen/wire_v1_pb.js";

/**
 * A frame from the server: text is JSON, bytes are protobuf.
 *
 * @throws Error with a sentence when a v0.1.1 client might not be able to read it.
 */
export function decodeStrictV1(frame: string | Uint8Array): OutboundMessage {
  const isText = typeof frame === "string";
  let message: OutboundMessage;
  try {
    message = isText ? fromText(frame) : fromBytes(frame);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The frame is not one of v0.1.1: ${reason}`, { cause: error });
  }
  checkRules(message, isText);
  return message;
}

function fromText(text: string): OutboundMessage {
  const value = JSON.parse(text) as JsonValue;
  checkStrings(text);
  return fromJson(OutboundMessageSchema, value);
}

const STRING_OR_MARK = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/** Go's decoder refuses repeated keys and lone surrogates; JSON.parse takes both. */
function checkStrings(json: string): void {
  /** The keys of every open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let last = "";
  for (const [token] of json.matchAll(STRING_OR_MARK)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const keys = open.at(-1);
      if (keys?.has(last)) throw new Error(`the key ${JSON.stringify(last)} stands twice`);
      keys?.add(last);
    } else {
      last = JSON.parse(token) as string;
      if (!last.isWellFormed()) throw new Error(`${token} is not valid Unicode`);
    }
  }
}

function fromBytes(bytes: Uint8Array): OutboundMessage {
  checkFields(fieldsOf(OutboundMessageSchema), new BinaryReader(bytes), bytes.length);
  return fromBinary(OutboundMessageSchema, bytes);
}

/** What may stand under a field number. */
interface WireField {
  readonly wireType: WireType;
  /** The fields inside, where it is a message or the entry of a map. */
  readonly inside?: () => WireFields;
}

type WireFields = ReadonlyMap<number, WireField>;

/**
 * Refuses unknown fields anywhere. The unknown fields that fromBinary keeps do not tell: it keeps
 * none of a map's entry nor of a Struct, and it does not look at the wire type of a known field.
 */
function checkFields(fields: WireFields, reader: BinaryReader, end: number): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields.get(number);
    if (field === undefined) throw new Error(`the field number ${number} is unknown`);
    if (field.wireType !== wireType) throw new Error(`field ${number} has another wire type`);
    if (field.inside === undefined) reader.skip(wireType, number);
    else checkFields(field.inside(), reader, reader.uint32() + reader.pos);
  }
  if (reader.pos > end) throw new Error("a field is longer than the message around it");
}

/** By their messages: to make them takes longer than to read a frame. */
const known = new Map<DescMessage, WireFields>();

function fieldsOf(desc: DescMessage): WireFields {
  const fields =
    known.get(desc) ?? new Map(desc.fields.map((field) => [field.number, wireField(field)]));
  known.set(desc, fields);
  return fields;
}

function wireField(field: DescField): WireField {
  if (field.fieldKind !== "map") return wireValue(field.message, field.scalar);
  const entry: WireFields = new Map([
    [1, wireValue(undefined, field.mapKey)],
    [2, wireValue(field.message, field.scalar)],
  ]);
  return { wireType: WireType.LengthDelimited, inside: () => entry };
}

/** The schema has no other scalars than these, and no packed lists. */
function wireValue(message: DescMessage | undefined, scalar: ScalarType | undefined): WireField {
  if (message !== undefined) {
    return { wireType: WireType.LengthDelimited, inside: () => fieldsOf(message) };
  }
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) {
    return { wireType: WireType.LengthDelimited };
  }
  return { wireType: scalar === ScalarType.DOUBLE ? WireType.Bit64 : WireType.Varint };
}

function checkRules({ envelope }: OutboundMessage, isText: boolean): void {
  switch (envelope.case) {
    case "publication":
      checkPublication(envelope.value, isText);
      return;
    case "connected":
      for (const publication of envelope.value.publications) checkPublication(publication, isText);
      return;
    case "rpcReply":
      checkEvent(envelope.value, isText);
      return;
    case "surveyRequest":
    case "surveyResponse":
      if (envelope.value.payload !== undefined) checkEvent(envelope.value.payload, isText);
      return;
    default:
  }
}

function checkPublication({ messages }: Publication, isText: boolean): void {
  for (const { channel, payload } of messages) {
    if (payload === undefined) throw new Error("A message has no payload.");
    checkEvent(payload, isText);
    if (payload.data.case === undefined) throw new Error("A payload has no data.");
    if (payload.data.case === "protoData") throw new Error("A payload has proto_data.");
    // The Go SDK shows its users nothing else of where an event came from.
    if (channel !== "" && payload.source !== channel) {
      throw new Error(`A payload's source is ${payload.source} and not its channel ${channel}.`);
    }
  }
}

function checkEvent({ attributes, data }: CloudEvent, isText: boolean): void {
  for (const [name, { attr }] of Object.entries(attributes)) {
    if (!/^[A-Za-z0-9]+$/.test(name)) throw new Error(`The SDK refuses the attribute ${name}.`);
    if (attr.case === undefined) throw new Error(`The attribute ${name} has no value.`);
  }
  if (isText && data.case === "protoData") throw new Error("proto_data stands in a JSON frame.");
  if (data.case === "textData") {
    // Text of any other type, the SDK encodes a second time.
    const type = attributes["datacontenttype"]?.attr;
    if (type?.case !== "ceString" || !/^text\/plain\s*(;|$)/i.test(type.value)) {
      throw new Error("text_data stands with another content type than text/plain.");
    }
  }
}
