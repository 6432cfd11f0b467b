/** Data that is JSON, which stands in a JSON frame as it is: a client that parses the frame has parsed it. */
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { MAX_PLAIN_JSON_DEPTH } from "../limits.ts";
import { mediaTypeOf } from "../media-type.ts";

/**
 * An event's data, where it is a text that says to be JSON, and that a reader has again by writing the value as `JSON.stringify`
 * does; undefined otherwise. So no blank, no digit and no repeated name is lost on the way.
 *
 * @example
 * // of the data {"n":1} it is the same text, and undefined of {"n":1.0}
 */
export function plainJson({ attributes, data }: CloudEvent): string | undefined {
  if (data.case !== "textData" || !saysJson(attributes["datacontenttype"])) return undefined;
  const text = data.value;
  // Assigned to an object that name would set the prototype, in other readers' hands.
  if (text.includes("__proto__")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    // Asked before it is written: that cannot end well where it nests too deep.
    if (nests(value, MAX_PLAIN_JSON_DEPTH) && JSON.stringify(value) === text) return text;
  } catch {
    // It is no JSON, whatever it says.
  }
  return undefined;
}

function saysJson(attribute: CloudEvent["attributes"][string] | undefined): boolean {
  const attr = attribute?.attr;
  if (attr?.case !== "ceString") return false;
  return attr.value === "application/json" || mediaTypeOf(attr.value).json;
}

/** Whether objects and lists nest so many levels at most. */
function nests(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  return Object.values(value).every((member) => nests(member, levels - 1));
}
