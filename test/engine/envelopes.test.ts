/** The table of envelopes: it covers the schema, and what it says of an envelope is what a session does. */
import { create, type DescField } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { CONNECT, type EnvelopeRow, REQUESTS } from "../../src/engine/session/requests/table.ts";
import { MESSAGE_KINDS } from "../../src/engine/settings/settings.ts";
import { codecFor, type Frame } from "../../src/protocol/codec.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Init, kinds, type SceneOptions, scene, send } from "./scene.ts";

/** Envelopes of v1 have lower numbers than those that a client must have been granted. */
const FIRST_GRANTED = 32;

const [oneof] = InboundMessageSchema.oneofs;
const fields: readonly DescField[] = oneof?.fields ?? [];
const rows: Readonly<Record<string, EnvelopeRow>> = { connect: CONNECT, ...REQUESTS };
const requests = fields.filter(({ localName }) => localName !== "connect");

/** An empty message in the envelope of a field. */
function empty({ localName, message }: DescField): Init {
  if (message === undefined) throw new Error(`${localName} holds no message`);
  return { envelope: { case: localName, value: create(message) } as NonNullable<Init["envelope"]> };
}

async function connected(capabilities: readonly string[], options: SceneOptions = {}) {
  const made = scene(options);
  await send(made.session, {
    envelope: { case: "connect", value: { capabilities: [...capabilities] } },
  });
  made.transport.frames.length = 0;
  return made;
}

function refusals({ frames }: { readonly frames: readonly Frame[] }): string[] {
  return frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    return envelope.case === "error" ? [envelope.value.message] : [];
  });
}

test("the table has a row for every envelope of the schema, and for nothing else", () => {
  expect(oneof?.name).toBe("envelope");
  expect(fields.length).toBeGreaterThan(10);
  expect(Object.keys(rows).sort()).toEqual(fields.map(({ localName }) => localName).sort());
});

test("each kind that can be switched off is one envelope's name on the wire", () => {
  const named = fields.filter(({ localName }) => rows[localName]?.kind !== undefined);
  for (const { localName, name } of named) expect(rows[localName]?.kind).toBe(name);
  expect(named.map(({ name }) => name).sort()).toEqual([...MESSAGE_KINDS].sort());
});

test("what is not of v1 needs a capability, and nothing else does", () => {
  const granted = fields.filter(({ localName }) => rows[localName]?.capability !== undefined);
  expect(granted).toEqual(fields.filter(({ number }) => number >= FIRST_GRANTED));
  expect(granted.length).toBeGreaterThan(0);
});

describe.each(requests.map((field) => [field.name, field] as const))("%s", (name, field) => {
  const row = rows[field.localName];

  test("before connect", async () => {
    const { session, transport } = scene();
    await send(session, empty(field));
    expect(transport.closed).toEqual(row?.always ? undefined : DISCONNECTS.stale);
  });

  test("where the deployment hears nothing that can be switched off", async () => {
    const all = await connected(["history", "presence", "credit"], {
      disabledMessages: MESSAGE_KINDS,
    });
    await send(all.session, empty(field));
    expect(all.transport.closed).toEqual(row?.kind && DISCONNECTS.notAvailable);
  });

  test("from a client that was granted nothing", async () => {
    const { session, transport } = await connected(["x"]);
    await send(session, empty(field));
    const text = `${name} needs the capability ${row?.capability}`;
    const needs = refusals(transport).filter((message) => message.includes("capability"));
    expect(needs).toEqual(row?.capability === undefined ? [] : [text]);
  });

  test("while too much is under way", async () => {
    // Each request alone is too much.
    const { session, transport } = await connected(["history", "presence", "credit"], {
      maxOpenRequestBytes: 1,
    });
    await send(session, empty(field));
    const refused = kinds(transport).includes("error RATE_LIMITED");
    expect(refused).toBe(row?.answered !== undefined && row.always !== true);
  });
});
