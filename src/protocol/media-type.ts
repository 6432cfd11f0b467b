/** What the header Content-Type and the attribute `datacontenttype` say. */

/** What kind of media a content type names, as far as it matters here. */
export interface MediaType {
  /** In lower case, without parameters; empty where there is none. */
  readonly name: string;
  readonly json: boolean;
  /** Whether its bytes are meant to be read as text, and as UTF-8. */
  readonly text: boolean;
}

/**
 * @param contentType as a header or an attribute has it; empty where there is none
 * @example
 * mediaTypeOf("application/cloudevents+json; charset=utf-8");
 * // { name: "application/cloudevents+json", json: true, text: true }
 */
export function mediaTypeOf(contentType: string): MediaType {
  const [first = "", ...parameters] = contentType.toLowerCase().split(";");
  const name = first.trim();
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/.exec(parameter)?.[1])
    .find((value) => value !== undefined);
  const utf8 = charset === undefined || charset === "utf-8" || charset === "us-ascii";
  const json = /^[^/]+\/(?:json|[^/]+\+json)$/.test(name);
  const xml = /^[^/]+\/(?:xml|[^/]+\+xml)$/.test(name);
  return { name, json, text: utf8 && (json || xml || name.startsWith("text/")) };
}
