/**
 * Every scalar of every message that a client may send, at its extremes: frames made from the schema by
 * reflection, so that a new field is swept as soon as it is there. Needs no test runner and no platform.
 */
import {
  create,
  type DescField,
  type DescMessage,
  type MessageInitShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";

/** What frames have to name so that the server looks at the rest of them. */
export interface Named {
  /** A channel with messages in its log, and the log's epoch. */
  readonly channel: string;
  readonly epoch: string;
  /** A pattern that stands for the channel. */
  readonly pattern: string;
}

/** One frame with one value at an extreme. */
export interface BoundaryFrame {
  /** The field and its value, such as `subscribe.subscriptions.since.offset = 18446744073709551615`. */
  readonly name: string;
  /** Whether it opens a session; any other frame is for one that is connected. */
  readonly connects: boolean;
  readonly frame: Frame;
}

export const CAPABILITIES = [
  "recovery",
  "history",
  "presence",
  "survey",
  "control",
  "credit",
] as const;

/** A place in a message for one value. */
interface Leaf {
  readonly name: string;
  readonly scalar: ScalarType | undefined;
  readonly extremes: readonly unknown[];
  /** The message around it, as `create` takes it. */
  make(value: unknown): Init;
}

type Init = Record<string, unknown>;

const EXTREMES: Readonly<Partial<Record<ScalarType, readonly unknown[]>>> = {
  [ScalarType.UINT64]: [
    0n,
    1n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ],
  [ScalarType.INT64]: [-(2n ** 63n), -(2n ** 53n), -1n, 0n, 2n ** 53n, 2n ** 63n - 1n],
  [ScalarType.UINT32]: [0, 1, 2 ** 31, 2 ** 32 - 1],
  [ScalarType.INT32]: [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1],
  [ScalarType.BOOL]: [false, true],
  [ScalarType.BYTES]: [new Uint8Array(), new Uint8Array(1_000).fill(0xff)],
  [ScalarType.STRING]: [
    "",
    "\u0000",
    "x".repeat(300),
    "a..b",
    "a.**.b",
    "**",
    "__proto__",
    "\u{1f600}",
  ],
};

/** What stands for a number in JSON, as it is and in forms that are none. */
const LITERALS = [
  ...["-1", "-0", "0.5", "1e3", "1e400", "9007199254740993", "18446744073709551615"],
  ...["18446744073709551616", '"18446744073709551615"', '"18446744073709551616"', '"-1"', '"0x10"'],
  ...['""', '" 1"', '"NaN"', "null", "true", "{}", "[]"],
];

/** Numbers that stand nowhere else in a frame, in whose place a literal is put. */
const MARKS: Readonly<Partial<Record<ScalarType, readonly [value: unknown, text: string]>>> = {
  [ScalarType.UINT64]: [1_234_567_890_123_456_789n, '"1234567890123456789"'],
  [ScalarType.UINT32]: [1_987_654_321, "1987654321"],
  [ScalarType.INT32]: [1_987_654_321, "1987654321"],
};

const STRUCTS: readonly unknown[] = [
  {},
  { a: Number.NaN },
  { a: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] },
  { a: 1.7976931348623157e308, b: -0, c: 5e-324 },
  { "": null, a: [[], {}, "\u0000", true] },
  Array.from({ length: 45 }).reduce((inside) => ({ a: inside }), {}),
];

/** All frames of one kind of client in one encoding. */
export function boundaryFrames(
  encoding: Encoding,
  extended: boolean,
  named: Named,
): readonly BoundaryFrame[] {
  const maker = new Maker(encoding, extended, named);
  return maker.frames();
}

/** The frame that opens a session. */
export function connectFrame(encoding: Encoding, extended: boolean, channel: string): Frame {
  const capabilities = extended ? [...CAPABILITIES] : [];
  const value = { capabilities, subscriptions: [{ channel }] };
  const envelope = { case: "connect", value } as const;
  return codecFor(encoding).encodeInbound(create(InboundMessageSchema, { id: "c", envelope }));
}

class Maker {
  readonly #encoding: Encoding;
  readonly #extended: boolean;
  readonly #named: Named;

  constructor(encoding: Encoding, extended: boolean, named: Named) {
    this.#encoding = encoding;
    this.#extended = extended;
    this.#named = named;
  }

  frames(): BoundaryFrame[] {
    const outer = InboundMessageSchema.fields.filter(({ oneof }) => oneof === undefined);
    return this.#envelopes().flatMap(({ name, leaves }) => {
      const connects = name === "connect";
      const inside = leaves.flatMap((leaf) => this.#framesOf(leaf, connects));
      const around = outer.flatMap((field) =>
        this.#leavesOf(field).flatMap((leaf) => {
          const make = (value: unknown): Init => ({
            ...leaves[0]?.make(undefined),
            ...leaf.make(value),
          });
          return this.#framesOf({ ...leaf, name: `${name}: ${leaf.name}`, make }, connects);
        }),
      );
      return [...inside, ...around];
    });
  }

  /** The envelopes with the leaves inside; the first of each is the envelope without an extreme. */
  #envelopes(): { name: string; leaves: Leaf[] }[] {
    return InboundMessageSchema.fields
      .filter(({ oneof }) => oneof !== undefined)
      .map((field) => {
        if (field.message === undefined) throw new Error(`${field.name} is no message`);
        const schema = field.message;
        const make = (value: unknown): Init => ({
          envelope: {
            case: field.localName,
            value: this.#withNames(schema, (value ?? {}) as Init),
          },
        });
        const plain: Leaf = { name: field.name, scalar: undefined, extremes: [undefined], make };
        const inside = this.#leaves(schema).map((leaf) => ({
          ...leaf,
          name: `${field.name}.${leaf.name}`,
          make: (value: unknown) => make(leaf.make(value)),
        }));
        return { name: field.name, leaves: [plain, ...inside] };
      });
  }

  #leaves(schema: DescMessage): Leaf[] {
    return schema.fields.flatMap((field) => this.#leavesOf(field));
  }

  #leavesOf(field: DescField): Leaf[] {
    const { name, localName, oneof } = field;
    // One string of it makes a client an extended one.
    if (name === "capabilities" && !this.#extended) return [];
    const wrap = (value: unknown): Init =>
      oneof === undefined
        ? { [localName]: value }
        : { [oneof.localName]: { case: localName, value } };
    const scalar = (kind: ScalarType | undefined, make: Leaf["make"], what = name): Leaf => {
      const known = kind ?? ScalarType.INT32;
      const extremes = EXTREMES[known];
      if (extremes === undefined) throw new Error(`no extremes of ${ScalarType[known]}`);
      return { name: what, scalar: known, extremes, make };
    };
    const inner = (message: DescMessage, around: (value: unknown) => Init): Leaf[] => {
      if (message.typeName === "google.protobuf.Struct") {
        return [{ name, scalar: undefined, extremes: STRUCTS, make: around }];
      }
      const empty: Leaf = { name, scalar: undefined, extremes: [{}], make: around };
      const leaves = this.#leaves(message).map((leaf) => ({
        ...leaf,
        name: `${name}.${leaf.name}`,
        make: (value: unknown) => around(this.#withNames(message, leaf.make(value))),
      }));
      if (message.typeName !== "messageloop.v1.Subscription") return [empty, ...leaves];
      const ofPattern = this.#leaves(message).map((leaf) => ({
        ...leaf,
        name: `${name}.${leaf.name} of a pattern`,
        make: (value: unknown) => around({ channel: this.#named.pattern, ...leaf.make(value) }),
      }));
      return [empty, ...leaves, ...ofPattern];
    };
    switch (field.fieldKind) {
      case "map": {
        const key = name === "positions" ? this.#named.channel : "k";
        const value = field.message === undefined ? "v" : this.#withNames(field.message, {});
        const keys = scalar(field.mapKey, (one) => wrap({ [`${one}`]: value }), `${name} key`);
        const values =
          field.message === undefined
            ? [scalar(field.scalar, (one) => wrap({ [key]: one }))]
            : inner(field.message, (one) => wrap({ [key]: one }));
        return [keys, ...values];
      }
      case "list": {
        const values =
          field.message === undefined
            ? [scalar(field.scalar, (one) => wrap([one]))]
            : inner(field.message, (one) => wrap([one]));
        return values;
      }
      case "message":
        return inner(field.message, wrap);
      default:
        return [scalar(field.scalar, wrap)];
    }
  }

  /** What a message has to hold beside the value that is tried. */
  #withNames(schema: DescMessage, init: Init): Init {
    const { channel, epoch, pattern } = this.#named;
    switch (schema.typeName) {
      case "messageloop.v1.Connect":
        return { capabilities: this.#extended ? [...CAPABILITIES] : [], ...init };
      case "messageloop.v1.Subscribe":
      case "messageloop.v1.Unsubscribe":
        return { subscriptions: [{ channel }], ...init };
      case "messageloop.v1.Subscription":
        return { channel: "positions" in init ? pattern : channel, ...init };
      case "messageloop.v1.StreamPosition":
        return { epoch, offset: 1n, ...init };
      case "messageloop.v1.HistoryRequest":
        return { channel, limit: 10, ...init };
      case "messageloop.v1.PresenceRequest":
        return { channel, ...init };
      case "io.cloudevents.v1.CloudEvent":
        return { id: "e", source: "/s", type: "t", specVersion: "1.0", ...init };
      default:
        return init;
    }
  }

  #framesOf({ name, scalar, extremes, make }: Leaf, connects: boolean): BoundaryFrame[] {
    const frames: BoundaryFrame[] = [];
    for (const extreme of extremes) {
      const frame = this.#encoded(make(extreme));
      // JSON has no form for some values, such as an infinite number.
      if (frame !== undefined) {
        frames.push({ name: `${name} = ${shown(extreme)}`, connects, frame });
      }
    }
    const mark = scalar === undefined ? undefined : MARKS[scalar];
    if (mark === undefined || this.#encoding === "proto") return frames;
    const [value, marked] = mark;
    const frame = this.#encoded(make(value));
    // A part of a time has no form of its own in JSON.
    if (typeof frame !== "string" || !frame.includes(marked)) return frames;
    for (const literal of LITERALS) {
      const text = frame.replace(marked, literal);
      frames.push({ name: `${name} = ${literal} as JSON`, connects, frame: text });
    }
    return frames;
  }

  #encoded(init: Init): Frame | undefined {
    const { channel } = this.#named;
    const whole = { id: "id", channel, ...init } as MessageInitShape<typeof InboundMessageSchema>;
    const message: InboundMessage = create(InboundMessageSchema, whole);
    try {
      return codecFor(this.#encoding).encodeInbound(message);
    } catch (error) {
      if (this.#encoding === "json") return undefined;
      throw error;
    }
  }
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== "object")
    return typeof value === "string" ? JSON.stringify(value).slice(0, 20) : `${value}`;
  return JSON.stringify(value).slice(0, 40);
}
