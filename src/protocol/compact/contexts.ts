/** Which messages of a batch share what. */
import type { EntryBody } from "../gen/messageloop/internal/v1/internal_pb.js";
import type { Publisher } from "../gen/messageloop/v1/service_pb.js";
import { type EventParts, fieldsOf, nameOf, partsOf, same } from "./parts.ts";

/** An event with more attributes, or with longer ones, shares all or none: to compare each with each would take too long. */
const MOST_ATTRIBUTES = 32;
const MOST_ATTRIBUTE_BYTES = 4_096;
/** Contexts of one publisher that a message is held against. */
const MOST_CONTEXTS = 8;
const NO_EVENT = new Uint8Array();
/** Attributes that are the same from message to message: they say what the data is. */
const LASTING: ReadonlySet<string> = new Set(["datacontenttype", "dataschema"]);

export type Texts = Readonly<Record<string, string>>;

/** What a message has for itself beside its context. */
export interface OwnParts {
  readonly parts: EventParts;
  readonly context: Context;
  /** Attributes that its context has not, in their bytes. */
  readonly attributes: readonly Uint8Array[];
  readonly metadata: Texts;
}

/** What one publisher's messages have in common. */
export class Context {
  readonly origin: Uint8Array;
  readonly publisher: Publisher | undefined;
  metadata: Texts;
  readonly #first: EventParts;
  /** Attributes that all have; undefined while all have those of the first. */
  #attributes: Uint8Array[] | undefined;

  /** @param attributes what it has of those of its first message. Default all, until others join that have not */
  constructor(
    parts: EventParts,
    publisher: Publisher | undefined,
    metadata: Texts,
    attributes?: Uint8Array[],
  ) {
    this.origin = parts.origin;
    this.publisher = publisher;
    this.metadata = metadata;
    this.#first = parts;
    this.#attributes = attributes;
  }

  get attributes(): readonly Uint8Array[] {
    this.#attributes ??= fieldsOf(this.#first.attributes);
    return this.#attributes;
  }

  fits({ origin, attributes, count }: EventParts, publisher: Publisher | undefined): boolean {
    if (!same(origin, this.origin) || !isSame(publisher, this.publisher)) return false;
    const first = this.#first;
    if (same(attributes, first.attributes)) return true;
    const bytes = Math.max(attributes.length, first.attributes.length);
    return Math.max(count, first.count) <= MOST_ATTRIBUTES && bytes <= MOST_ATTRIBUTE_BYTES;
  }

  /** Takes in a message that fits, and gives up what that one has not. */
  add({ attributes }: EventParts, metadata: Texts): void {
    if (!same(attributes, this.#first.attributes)) {
      const others = fieldsOf(attributes);
      this.#attributes = this.attributes.filter((own) => others.some((other) => same(own, other)));
    }
    if (metadata !== this.metadata) this.metadata = chosen(this.metadata, isIn(metadata));
  }

  /** What a message that was taken in has beside. */
  beside(parts: EventParts, metadata: Texts): OwnParts {
    const common = this.#attributes;
    const attributes =
      common === undefined
        ? []
        : fieldsOf(parts.attributes).filter((own) => !common.some((other) => same(own, other)));
    const known = isIn(this.metadata);
    const own = chosen(metadata, (name, text) => !known(name, text));
    return { parts, context: this, attributes, metadata: own };
  }
}

/** What each message has for itself, and which context has the rest. */
export function ownParts(bodies: readonly (EntryBody | undefined)[]): readonly OwnParts[] {
  if (bodies.length === 1) return [alone(bodies[0])];
  const byPublisher = new Map<string, Context[]>();
  const taken = bodies.map((body) => {
    const { event = NO_EVENT, publisher, metadata = {} } = body ?? {};
    const parts = partsOf(event);
    const { sessionId = "", userId = "" } = publisher ?? {};
    const key = `${sessionId} ${userId}`;
    const known = byPublisher.get(key) ?? [];
    let context = known.find((one) => one.fits(parts, publisher));
    if (context === undefined) {
      context = new Context(parts, publisher, metadata);
      if (known.length < MOST_CONTEXTS) byPublisher.set(key, [...known, context]);
    } else context.add(parts, metadata);
    return { parts, metadata, context };
  });
  return taken.map(({ parts, metadata, context }) => context.beside(parts, metadata));
}

/** The context of one alone has what those before it are likely to have had as well, so that a client knows it. */
function alone(body: EntryBody | undefined): OwnParts {
  const { event = NO_EVENT, publisher, metadata = {} } = body ?? {};
  const parts = partsOf(event);
  const [lasting, attributes]: [Uint8Array[], Uint8Array[]] = [[], []];
  for (const field of fieldsOf(parts.attributes)) {
    (LASTING.has(nameOf(field)) ? lasting : attributes).push(field);
  }
  return { parts, context: new Context(parts, publisher, {}, lasting), attributes, metadata };
}

/** Whether two messages have the same publisher. */
export function isSame(left: Publisher | undefined, right: Publisher | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined) return false;
  const { sessionId, userId, clientId } = left;
  return sessionId === right.sessionId && userId === right.userId && clientId === right.clientId;
}

function isIn(texts: Texts): (name: string, text: string) => boolean {
  return (name, text) => Object.hasOwn(texts, name) && texts[name] === text;
}

/** The same object where all are chosen. Names are defined and not set, so that none is that of the prototype. */
function chosen(texts: Texts, isChosen: (name: string, text: string) => boolean): Texts {
  const entries = Object.entries(texts);
  const left = entries.filter(([name, text]) => isChosen(name, text));
  return left.length === entries.length ? texts : Object.fromEntries(left);
}
