/** The events of a request, in whichever of the three modes it comes. */
import { attributeHeaders, binaryEvent, headerBytes } from "../../protocol/binary/read.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { elementsOf } from "../../protocol/json-text.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import { MAX_BATCH_EVENTS, MAX_BATCH_REQUEST_BYTES } from "../../protocol/limits.ts";
import { mediaTypeOf } from "../../protocol/media-type.ts";
import { bad } from "../../protocol/structured/attributes.ts";
import { structuredEvent } from "../../protocol/structured/read.ts";

const STRUCTURED = "application/cloudevents+json";
const BATCHED = "application/cloudevents-batch+json";
const ACCEPTED = `${STRUCTURED}, ${BATCHED}, or any other type with the headers of the binary mode`;

export interface ReadingOptions {
  /** The longest event that is taken, in bytes. */
  readonly maxEventBytes: number;
  /**
   * Whether the host has read values of headers as UTF-8, as workerd does. Elsewhere each character of them is
   * a byte.
   */
  readonly headersAreText: boolean;
}

/** Reads the events out of a body; each that is none is the error that says why. */
export interface EventReader {
  /** Whether there may be any number of events. */
  readonly batch: boolean;
  /** How long the body may be, in bytes. */
  readonly maxBytes: number;
  /** @throws MessagingError BAD_REQUEST where nothing can be read at all */
  read(body: Uint8Array): readonly (CloudEvent | MessagingError)[];
}

/**
 * How the events of a request are to be read, by its headers alone, so that no body is taken in for nothing.
 *
 * @throws MessagingError UNSUPPORTED_TYPE where it holds no event that is read here, TOO_LARGE where its headers
 * are longer than an event may be
 */
export function eventReader(headers: Headers, options: ReadingOptions): EventReader {
  const encoding = headers.get("Content-Encoding")?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity") {
    throw unsupported("a body with Content-Encoding is not read");
  }
  const contentType = headers.get("Content-Type") ?? undefined;
  if (/[^\t\x20-\x7e]/.test(contentType ?? "")) throw unsupported("Content-Type is not ASCII");
  const { name, text } = mediaTypeOf(contentType ?? "");
  if (name === STRUCTURED || name === BATCHED) {
    if (!text) throw unsupported("events in JSON are UTF-8, which is what charset may say");
    return name === STRUCTURED ? structuredReader(options) : batchReader(options);
  }
  if (name.startsWith("application/cloudevents")) {
    throw unsupported(`${name} is not read; the types are ${ACCEPTED}`);
  }
  return binaryReader(headers, contentType, options);
}

function structuredReader({ maxEventBytes }: ReadingOptions): EventReader {
  return {
    batch: false,
    maxBytes: maxEventBytes,
    read(body) {
      const text = textOf(body);
      return [structuredEvent(parsed(text), text)];
    },
  };
}

function batchReader({ maxEventBytes }: ReadingOptions): EventReader {
  return {
    batch: true,
    maxBytes: MAX_BATCH_REQUEST_BYTES,
    read(body) {
      const text = textOf(body);
      const values = parsed(text);
      if (!Array.isArray(values)) throw bad("a batch is a list of events");
      if (values.length > MAX_BATCH_EVENTS) {
        throw new MessagingError("TOO_LARGE", `a batch has at most ${MAX_BATCH_EVENTS} events`);
      }
      return elementsOf(text).map((element, index) => {
        if (utf8Length(element) > maxEventBytes) return tooLarge("an event", maxEventBytes);
        return readOrError(() => structuredEvent(values[index], element));
      });
    },
  };
}

function binaryReader(
  headers: Headers,
  contentType: string | undefined,
  { maxEventBytes, headersAreText }: ReadingOptions,
): EventReader {
  const attributes = attributeHeaders(headers);
  if (attributes.size === 0) {
    const type = contentType === undefined ? "there is no Content-Type" : `this is ${contentType}`;
    throw unsupported(`${type.slice(0, 100)}, and no event; the types are ${ACCEPTED}`);
  }
  const rest = maxEventBytes - headerBytes(attributes) - (contentType?.length ?? 0);
  if (rest < 0) throw tooLarge("an event", maxEventBytes);
  return {
    batch: false,
    maxBytes: rest,
    read: (body) => [binaryEvent(attributes, contentType, body, headersAreText)],
  };
}

export function tooLarge(what: string, bytes: number): MessagingError {
  return new MessagingError("TOO_LARGE", `${what} has at most ${bytes} bytes`);
}

function readOrError(read: () => CloudEvent): CloudEvent | MessagingError {
  try {
    return read();
  } catch (error) {
    return MessagingError.from(error);
  }
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw bad("the body is not UTF-8");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own words quote the body.
    throw bad("the body is no JSON");
  }
}

function unsupported(message: string): MessagingError {
  return new MessagingError("UNSUPPORTED_TYPE", message);
}
