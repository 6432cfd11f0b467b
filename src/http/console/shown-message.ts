/** A message as the console has it: as it came, with nothing made of its data. */
import type { WireAttribute, WireMessage } from "../../client/wire/frames.ts";

export type ShownMessage = WireMessage;

/** A line of an event's attributes, or of what stands beside it. */
export type Line = readonly [name: string, value: string];

/** The attributes of an event, those that every event has first. */
export function attributesOf({ payload = {} }: ShownMessage): Line[] {
  const {
    id = "",
    source = "",
    type = "",
    spec_version: version = "1.0",
    attributes = {},
  } = payload;
  const others = Object.entries(attributes).map(
    ([name, value]): Line => [name, attributeText(value)],
  );
  return [["id", id], ["source", source], ["type", type], ["specversion", version], ...others];
}

/** What the server knows of a message beside its event. */
export function surroundingsOf(message: ShownMessage): Line[] {
  const { epoch = "", offset = 0, publisher = {}, metadata = {}, time = 0 } = message;
  const lines: Line[] = [
    ["position", offset === 0 ? "in no log" : `${epoch}-${offset}`],
    ["taken at", new Date(time).toISOString()],
    ["publisher’s user", publisher.user_id ?? ""],
    ["publisher’s client", publisher.client_id ?? ""],
    ["publisher’s session", publisher.session_id ?? ""],
  ];
  const beside = Object.entries(metadata).map(([name, value]): Line => [`metadata ${name}`, value]);
  return [...lines, ...beside].filter(([, value]) => value !== "");
}

/** What an event carries. */
export interface Data {
  /** Undefined where the bytes are no UTF-8. */
  readonly text: string | undefined;
  readonly bytes: () => Uint8Array;
  readonly size: number;
}

export function dataOf({ payload = {} }: ShownMessage): Data | undefined {
  const { text_data: text, binary_data: bytes } = payload;
  if (text !== undefined) {
    const encoded = new TextEncoder().encode(text);
    return { text, bytes: () => encoded, size: encoded.length };
  }
  if (bytes === undefined) return undefined;
  return { text: decoded(bytes), bytes: () => bytes, size: bytes.length };
}

/** Bytes as hexadecimal on lines of sixteen, with what of them is ASCII. */
export function hexadecimal(
  bytes: Uint8Array,
  most: number,
): { readonly text: string; readonly whole: boolean } {
  const lines: string[] = [];
  const shown = Math.min(bytes.length, Math.floor(most / LINE_LENGTH) * PER_LINE);
  for (let at = 0; at < shown; at += PER_LINE) {
    const row = [...bytes.subarray(at, at + PER_LINE)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·"));
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${ascii.join("")}`);
  }
  return { text: lines.join("\n"), whole: shown >= bytes.length };
}

const PER_LINE = 16;
/** Of a line of `hexadecimal`. */
const LINE_LENGTH = 74;

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function attributeText(attribute: WireAttribute): string {
  for (const [kind, value] of Object.entries(attribute)) {
    if (value instanceof Uint8Array) return hexadecimal(value, 1_024).text;
    if (value !== undefined)
      return kind === "ce_string" ? `${value}` : `${value} (${kind.slice(3)})`;
  }
  return "";
}
