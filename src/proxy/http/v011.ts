/**
 * The bodies of v0.1.1, for backends that were written for it: those of its Go structs, and not protobuf JSON. What
 * such a program answers is read as it was, and its data as well, which v0.1.1 lost.
 */
import type { DescField, DescMessage, JsonObject } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { BackendFailure } from "../../engine/ports/backends.ts";
import { dataBytes } from "../../protocol/cloudevents.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { isObject } from "../../protocol/json-strict.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import { type AnswerObject, checkStatus, type Form, messageOf, objectIn } from "./form.ts";
import { JSON_TYPE } from "./json.ts";

/** Fields of its messages have smaller numbers. */
const FIRST_NEW_FIELD = 16;
const STRUCT = "google.protobuf.Struct";
/** Characters that Go's encoder escapes, and JSON.stringify does not. */
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;
/** Statuses by which a client is asked to come again. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);
/** Attributes it has as fields of the event; its SDK ignored them among the others. */
const FIELDS: ReadonlySet<string> = new Set(["id", "source", "type", "specversion"]);
const NAME = /^[A-Za-z0-9]+$/;

export const v011Form: Form = {
  write({ input }, message) {
    const values = message as unknown as Readonly<Record<string, unknown>>;
    const body: JsonObject = {};
    // Go writes the keys of a map in their order.
    for (const { name, localName } of fieldsOf(input).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      body[name] = fieldValue(values[localName]);
    }
    return { contentType: JSON_TYPE, body: utf8Encode(goJson(body)) };
  },
  read(hook, response) {
    // It has no other way to refuse than a status.
    checkStatus(hook, response, (status) => status >= 400 && status < 500 && !LATER.has(status));
    // Go says text/plain where a handler says nothing, and no server has looked at it.
    const { value } = objectIn(response.body);
    return messageOf(hook.output, renamed(hook.output, value));
  },
};

function fieldsOf({ fields }: DescMessage): DescField[] {
  return fields.filter(({ number }) => number < FIRST_NEW_FIELD);
}

/** An error as well where v0.1.1 has none: a backend that states one to a subscription has not granted it. */
function readFieldsOf({ fields }: DescMessage): DescField[] {
  return fields.filter(({ number, name }) => number < FIRST_NEW_FIELD || name === "error");
}

/** There are texts, and the event of an RPC. */
function fieldValue(value: unknown): string | JsonObject {
  return typeof value === "string" ? value : eventValue(value as CloudEvent | undefined);
}

/** An event as Go's struct of it. */
function eventValue(event: CloudEvent | undefined): JsonObject {
  if (event === undefined) return { Data: null };
  const { id, source, specVersion, type, data } = event;
  const attributes = attributesOf(event);
  const protobuf = data.case === "protoData" ? data.value : undefined;
  return {
    ...(id === "" ? {} : { id }),
    ...(source === "" ? {} : { source }),
    spec_version: specVersion || "1.0",
    ...(type === "" ? {} : { type }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    Data:
      protobuf === undefined
        ? { BinaryData: base64Encode(dataBytes(event)) }
        : { ProtoData: { type_url: protobuf.typeUrl, value: base64Encode(protobuf.value) } },
  };
}

/** Those that its SDK of CloudEvents lets through, by their names in lower case. */
function attributesOf({ attributes }: CloudEvent): JsonObject {
  const names = Object.keys(attributes).filter((name) => NAME.test(name));
  const values = new Map<string, JsonObject>();
  for (const written of names) {
    const name = written.toLowerCase();
    const value = attributeValue(attributes[written]);
    if (value !== undefined && !FIELDS.has(name)) values.set(name, { Attr: value });
  }
  return Object.fromEntries([...values].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function attributeValue(value: CloudEventAttributeValue | undefined): JsonObject | undefined {
  const attr = value?.attr;
  switch (attr?.case) {
    case "ceBoolean":
      return { CeBoolean: attr.value };
    case "ceInteger":
      return { CeInteger: attr.value };
    case "ceString":
      return { CeString: attr.value };
    case "ceBytes":
      return { CeBytes: base64Encode(attr.value) };
    case "ceUri":
      return { CeUri: attr.value };
    case "ceUriRef":
      return { CeUriRef: attr.value };
    case "ceTimestamp": {
      const { seconds, nanos } = attr.value;
      return {
        CeTimestamp: {
          ...(seconds === 0n ? {} : { seconds: Number(seconds) }),
          ...(nanos === 0 ? {} : { nanos }),
        },
      };
    }
    default:
      return undefined;
  }
}

function goJson(value: JsonObject): string {
  return JSON.stringify(value).replace(
    ESCAPED_BY_GO,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * An answer with its fields by their own names: Go takes them in any case. What v0.1.1 could not read is refused as
 * it was, an event's `data` and attributes; `text_data` and `binary_data`, which it dropped, are data.
 */
function renamed(schema: DescMessage, value: AnswerObject): AnswerObject {
  const fields = new Map(readFieldsOf(schema).map((field) => [folded(field.name), field]));
  const result: AnswerObject = {};
  for (const [written, member] of Object.entries(value)) {
    const name = folded(written);
    if (schema === CloudEventSchema && unreadable(name, member)) {
      throw new BackendFailure("field", `${name} of an event is nothing that v0.1.1 reads`);
    }
    const field = fields.get(name);
    if (field === undefined) continue;
    const inner = field.message;
    result[field.name] =
      inner !== undefined && inner.typeName !== STRUCT && isObject(member)
        ? renamed(inner, member)
        : member;
  }
  return result;
}

function unreadable(name: string, member: AnswerObject[string] | undefined): boolean {
  if (member === null) return false;
  if (name === "data") return true;
  return name === "attributes" && !(isObject(member) && Object.keys(member).length === 0);
}

/** In either spelling of protobuf JSON, and any case. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll("_", "");
}
