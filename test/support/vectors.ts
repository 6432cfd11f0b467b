/** The frames of v0.1.1 as data, and which of them wait for a later step. */
import { readFileSync } from "node:fs";

export interface Vector {
  readonly name: string;
  readonly direction: string;
  readonly encoding: "json" | "protobuf";
  readonly subprotocol: string | null;
  readonly ws_opcode: "text" | "binary" | null;
  readonly frame_form: "utf8" | "base64" | null;
  readonly frame: string | null;
  readonly decoded: unknown;
  readonly expect?: string;
  readonly emitted_by_reference_server?: boolean;
}

const gaps = new Set(
  read("../known-gaps/vectors.txt")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(" ")[0] ?? ""),
);

const all = JSON.parse(read("../fixtures/wire-v1-vectors.json")) as readonly Vector[];

/** The vectors of one direction that hold today. */
export function vectors(direction: string): Vector[] {
  return all.filter((vector) => vector.direction === direction && !gaps.has(vector.name));
}

/** Gaps that name no vector. */
export function unknownGaps(): string[] {
  const names = new Set(all.map((vector) => vector.name));
  return [...gaps].filter((name) => !names.has(name));
}

/** The directions that have vectors outside the gaps. */
export function directions(): string[] {
  const open = all.filter((vector) => !gaps.has(vector.name));
  return [...new Set(open.map((vector) => vector.direction))].sort();
}

/** The frame as it goes over the socket. */
export function frameOf(vector: Vector): string | Uint8Array<ArrayBuffer> {
  const raw = vector.frame ?? "";
  if (vector.frame_form === "base64") {
    return new Uint8Array(Array.from(atob(raw), (character) => character.charCodeAt(0)));
  }
  return vector.ws_opcode === "binary" ? new Uint8Array(new TextEncoder().encode(raw)) : raw;
}

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}
