/** What commands print: lines of JSON for programs, and of text for people. */
import type { Command } from "commander";
import type { CloudEvent } from "../../client/core/cloud-event.ts";
import type { ReceivedMessage } from "../../client/core/message.ts";

export interface OutputOptions {
  readonly json?: true;
}

/** A place in a log, as the client protocol and the server API have it. */
interface Position {
  readonly epoch: string;
  readonly offset?: number | bigint;
}

/** What is missing, as both have it. */
interface Gap {
  readonly reason?: string;
  readonly after?: Position | undefined;
  readonly until?: Position | undefined;
}

/** What lies between two cells of a row. */
const SPACE = "  ";
/** What moves a terminal's cursor, turns its text around or ends a line, and what stands for the former here. */
const UNFIT = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Adds `--json`: then a command prints objects for programs, and nothing else, on standard output. */
export function addJsonOption(command: Command): Command {
  return command.option("--json", "print JSON, an object a line");
}

/** An object as one line of JSON. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value).replace(UNFIT, escaped)}\n`);
}

/** Cells as one line; empty ones are left out. */
export function printRow(...cells: readonly string[]): void {
  process.stdout.write(`${rowOf(cells)}\n`);
}

/**
 * Cells as the text of one line; empty ones are left out.
 *
 * @example
 * rowOf(["chat.room", "", "a-7"]); // "chat.room  a-7"
 */
export function rowOf(cells: readonly string[]): string {
  return cells
    .filter((cell) => cell !== "")
    .map(shown)
    .join(SPACE);
}

/** Something that is not what was asked for, but about it. */
export function printNote(text: string): void {
  process.stderr.write(`${shown(text)}\n`);
}

/** Any text as one line that does nothing to the terminal it is printed on. */
export function shown(text: string): string {
  return text.replace(UNFIT, (character) => SHORT[character] ?? escaped(character));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** A place as people copy it: the form of a message's id. */
export function positionText({ epoch, offset = 0 }: Position): string {
  return `${epoch}-${offset}`;
}

/** A place for programs. Offsets of our logs are below 2^53. */
export function positionJson(position: Position | undefined): object | null {
  if (position === undefined) return null;
  return { epoch: position.epoch, offset: Number(position.offset ?? 0) };
}

/** A gap for programs: `{reason, after, until}`, of which the places may be null. */
export function gapJson({ reason = "unavailable", after, until }: Gap): object {
  return { reason, after: positionJson(after), until: positionJson(until) };
}

/**
 * A gap for people.
 *
 * @example
 * gapText({ reason: "expired", after: { epoch: "a", offset: 3 } }); // "messages are missing after a-3 (expired)"
 */
export function gapText({ reason = "unavailable", after, until }: Gap): string {
  const from = after === undefined ? "" : ` after ${positionText(after)}`;
  // The place before all messages of a log says nothing to people.
  const to = until === undefined || !until.offset ? "" : ` up to ${positionText(until)}`;
  return `messages are missing${from}${to} (${reason})`;
}

/** An event in CloudEvents' JSON form: bytes are base64, and binary data has a name of its own. */
export function eventJson(event: CloudEvent): Record<string, unknown> {
  const entries = Object.entries(event).map(([name, value]): [string, unknown] => {
    if (!(value instanceof Uint8Array)) return [name, value];
    return [name === "data" ? "data_base64" : name, Buffer.from(value).toString("base64")];
  });
  return Object.fromEntries(entries);
}

/** A message for programs. */
export function messageJson({ event, ...rest }: ReceivedMessage): object {
  const { id, channel, offset, epoch, time, replay, publisher, metadata } = rest;
  return {
    ...{ id, channel, offset, epoch, time, replay, publisher, metadata },
    event: eventJson(event),
  };
}

/** An event's data for people: text as it is, JSON in one line, of bytes how many there are. */
export function dataText({ data }: CloudEvent): string {
  if (data === undefined || typeof data === "string") return data ?? "";
  return data instanceof Uint8Array ? `(${data.length} bytes)` : JSON.stringify(data);
}
