/** Events that SDKs of CloudEvents send in every mode, and what of each has to arrive. */
import { readFileSync } from "node:fs";
import { dataBytes } from "../../src/protocol/cloudevents.ts";
import type { CloudEvent } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { parseTimestamp } from "../../src/protocol/timestamps.ts";

export const MODES = ["binary", "structured", "batch"] as const;
export type Mode = (typeof MODES)[number];

/** `js-encoded` is the SDK for JavaScript with what docs/cloudevents.md tells its users to do. */
export const SDKS = ["js", "js-encoded", "go", "python", "java"] as const;
export type Sdk = (typeof SDKS)[number];

/** An event, in no SDK's terms. */
export interface EventCase {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
  readonly data?: { readonly json?: unknown; readonly text?: string; readonly base64?: string };
}

const FIXTURES = new URL("../fixtures/cloudevents/", import.meta.url);
export const CASES_FILE = new URL("cases.json", FIXTURES);
export const EVENT_CASES = JSON.parse(readFileSync(CASES_FILE, "utf8")) as readonly EventCase[];

/** A request as an SDK has sent it, a character of its headers for each byte. */
export interface RecordedRequest {
  /** Name of the event; `batch` for all of them. */
  readonly case: string;
  readonly mode: Mode;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export function recordedRequests(sdk: Sdk): RecordedRequest[] {
  const { requests } = JSON.parse(readFileSync(new URL(`${sdk}.json`, FIXTURES), "utf8")) as {
    requests: (Omit<RecordedRequest, "body"> & { body?: string; base64?: string })[];
  };
  return requests.map(({ body, base64, ...rest }) => ({
    ...rest,
    body: base64 === undefined ? Buffer.from(body ?? "") : Buffer.from(base64, "base64"),
  }));
}

/** An event in a form that can be compared: JSON as a value, since each SDK writes it with other blanks. */
export interface Arrived {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specversion: string;
  /** Type and value by name; a time in nanoseconds since 1970. */
  readonly attributes: Readonly<Record<string, readonly [string, unknown]>>;
  readonly data: unknown;
}

export function arrived(event: CloudEvent): Arrived {
  const { id, source, type, specVersion: specversion } = event;
  const attributes = Object.entries(event.attributes).map(([name, { attr }]) => {
    const value = attr.case === "ceTimestamp" ? nanosOf(attr.value) : attr.value;
    return [name, [attr.case ?? "", value]] as const;
  });
  return {
    ...{ id, source, type, specversion },
    attributes: Object.fromEntries(attributes),
    data: event.data.case === undefined ? undefined : comparable(dataBytes(event)),
  };
}

function comparable(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString();
  if (!/^[[{]/.test(text)) return Buffer.from(bytes).toString("base64");
  return JSON.parse(text);
}

/** What has to arrive of an event: all of it, but for what its SDK does not put on the wire. */
export function wanted({ attributes, extensions, data }: EventCase, sdk: Sdk, mode: Mode): Arrived {
  const { id = "", source = "", type = "", time, dataschema, ...texts } = attributes;
  const binary = mode === "binary";
  const contentType = attributes["datacontenttype"] ?? impliedType(sdk, mode, data);
  const all: [string, readonly [string, unknown]][] = Object.entries(texts).map(([name, value]) => [
    name,
    ["ceString", value],
  ]);
  if (contentType !== undefined) all.push(["datacontenttype", ["ceString", contentType]]);
  if (dataschema !== undefined) all.push(["dataschema", ["ceUri", dataschema]]);
  if (time !== undefined) all.push(["time", ["ceTimestamp", cut(time, sdk)]]);
  for (const [name, value] of Object.entries(extensions ?? {})) {
    // A header has no types, and the SDK for Python writes those of Python.
    const text =
      sdk === "python" && typeof value === "boolean" ? (value ? "True" : "False") : value;
    all.push([name, binary ? ["ceString", `${text}`] : [typeOf(value), value]]);
  }
  return {
    ...{ id, source, type, specversion: "1.0" },
    attributes: Object.fromEntries(all),
    data: data?.json ?? data?.base64 ?? (data?.text && Buffer.from(data.text).toString("base64")),
  };
}

/** The same without a time that an SDK has made up. */
export function withoutInventedTime(event: Arrived, { attributes }: EventCase): Arrived {
  const { time, ...rest } = event.attributes;
  return time === undefined || "time" in attributes ? event : { ...event, attributes: rest };
}

/** What an event that says nothing of its data's type says it is. */
function impliedType(sdk: Sdk, mode: Mode, data: EventCase["data"]): string | undefined {
  if (mode === "binary" && sdk.startsWith("js")) return "application/json; charset=utf-8";
  if (data === undefined) return undefined;
  // As headers have no place for what is implied.
  return mode === "binary" && sdk === "python" ? undefined : "application/json";
}

/** A time as precise as the SDK writes it. */
function cut(time: string, sdk: Sdk): bigint {
  const unit = sdk === "js" ? 1_000_000n : sdk === "python" ? 1_000n : 1n;
  const instant = parseTimestamp(time);
  if (instant === undefined) throw new Error(`${time} is no time`);
  const nanos = nanosOf(instant);
  return nanos - (nanos % unit);
}

function nanosOf({ seconds, nanos }: { seconds: bigint; nanos: number }): bigint {
  return seconds * 1_000_000_000n + BigInt(nanos);
}

function typeOf(value: string | number | boolean): string {
  if (typeof value === "boolean") return "ceBoolean";
  return typeof value === "number" ? "ceInteger" : "ceString";
}
