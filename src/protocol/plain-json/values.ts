/** Which values out of JSON are read without the runtime. Of any other form of them it has to say what it is. */
import type { JsonValue } from "@bufbuild/protobuf";
import { isObject } from "../json-strict.ts";

/** A 64-bit number as SDKs write it. */
const NUMBER = /^(?:0|[1-9]\d{0,18})$/;
const MAX_UINT32 = 0xffff_ffff;

export function isText(json: JsonValue | undefined): json is string {
  return typeof json === "string" && json.isWellFormed();
}

export function isTextList(json: JsonValue | undefined): json is string[] {
  return Array.isArray(json) && json.every(isText);
}

export function isTexts(json: JsonValue | undefined): json is { [name: string]: string } {
  if (!isObject(json)) return false;
  return Object.keys(json).every((name) => isText(name) && isText(json[name]));
}

export function isUint32(json: JsonValue | undefined): json is number {
  return Number.isInteger(json) && (json as number) >= 0 && (json as number) <= MAX_UINT32;
}

export function isUint64(json: JsonValue | undefined): json is string {
  return typeof json === "string" && NUMBER.test(json);
}
