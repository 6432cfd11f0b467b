/** Who a client is: what an authenticator may say of it, where it stays, and the channels that come with it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type { SubscribeResult } from "../../src/engine/ports/broker.ts";
import { type Identity, NOBODY } from "../../src/engine/ports/identity.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { SessionRecordSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Subscription } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import {
  connect,
  connectWith,
  kinds,
  QuietBroker,
  type SceneOptions,
  ScriptedTransport,
  scene,
  sceneWith,
} from "./scene.ts";

const ADA: Identity = {
  userId: "ada",
  tokenId: "t1",
  expiresAt: 1_800_000_000_000,
  clientVouched: true,
  grants: [{ pattern: "chat.**", actions: ["subscribe", "history"] }],
};

function named(identity: unknown, options: SceneOptions = {}) {
  const authenticate = (async () => identity) as NonNullable<Backends["authenticate"]>;
  return scene({ ...options, backends: { authenticate, ...options.backends } });
}

/** What `connected` lists, by channel with the code of what was refused. */
function told({ frames }: ScriptedTransport): [string, string | undefined][] {
  const { envelope } = codecFor("json").decodeOutbound(frames[0] ?? "");
  if (envelope.case !== "connected") throw new Error(`${envelope.case} and no connected`);
  return envelope.value.subscriptions.map(({ channel, error }: Subscription) => [
    channel,
    error?.code,
  ]);
}

test.each<[string, Identity]>([
  ["a user alone", { userId: "ada" }],
  ["all that there is", ADA],
  ["grants, and none of them", { userId: "ada", grants: [] }],
  ["a host's own word", { userId: "" }],
])("%s is what the session is after a sleep", async (_, identity) => {
  const { engine } = scene();
  const session = engine.accept(new ScriptedTransport(), "s2", "json", {
    address: "",
    admitted: identity,
  });
  await connect(session);
  const record = create(SessionRecordSchema, { ...session.record(), marks: session.marks() });

  const bytes = toBinary(SessionRecordSchema, record);
  const later = scene();
  const restored = later.engine.restore(
    new ScriptedTransport(),
    fromBinary(SessionRecordSchema, bytes),
  );
  expect(restored.record()).toEqual(session.record());
  expect(restored.userId).toBe(identity.userId);
  expect(restored.record().admitted).toBe(true);
});

test("what an authenticator says beside the user is kept, and what it leaves out is not there", async () => {
  const whole = named({ ...ADA, channels: undefined, more: "unknown" });
  await connect(whole.session);
  const { userId, admitted, identity } = whole.session.record();
  expect([userId, admitted]).toEqual(["ada", false]);
  expect(identity).toMatchObject({
    tokenId: "t1",
    expiresAt: 1_800_000_000_000n,
    clientVouched: true,
    granted: true,
    grants: [{ pattern: "chat.**", actions: ["subscribe", "history"] }],
  });
  const bare = named({ userId: "ada", tokenId: undefined, grants: undefined });
  await connect(bare.session);
  const { clientVouched, expiresAt, granted, issuedAt, tokenId } = {
    ...bare.session.record().identity,
  };
  // Nobody says when the token was issued: its authenticator vouches for it as it is now.
  expect([clientVouched, expiresAt, granted, issuedAt, tokenId]).toEqual([
    false,
    0n,
    false,
    1_000_000n,
    "",
  ]);
});

const HUNDRED = Array.from({ length: 100 }, (_, index) => `c.${index}`);

test.each<[field: string, value: unknown]>([
  ...[null, 1, "", {}, [], "\ud800", "x".repeat(256)].map((v): [string, unknown] => ["tokenId", v]),
  ...[null, "1", 0, -1, 1.5, Number.NaN, 2 ** 53].map((v): [string, unknown] => ["expiresAt", v]),
  ...[null, "1", -1, 1.5, Number.NaN, 2 ** 53].map((v): [string, unknown] => ["issuedAt", v]),
  ...[null, 1, "true", {}].map((v): [string, unknown] => ["clientVouched", v]),
  ...[null, "a", {}, [""], ["a..b"], [1], ["**.a"], [...HUNDRED, "one-more"]].map(
    (v): [string, unknown] => ["channels", v],
  ),
  ...[
    null,
    "a",
    {},
    [1],
    [null],
    HUNDRED.concat("a").map((pattern) => ({ pattern, actions: [] })),
  ].map((v): [string, unknown] => ["grants", v]),
  ...["", 1, "a..b", "**.a"].map((pattern): [string, unknown] => [
    "grants",
    [{ pattern, actions: ["publish"] }],
  ]),
  ...[undefined, "publish", ["fly"], [1], new Array(7).fill("rpc")].map(
    (actions): [string, unknown] => ["grants", [{ pattern: "a", actions }]],
  ),
])("an authenticator that says of %s %j has refused", async (field, value) => {
  const fields: unknown[] = [];
  const { session, transport } = named(
    { userId: "ada", [field]: value },
    { logger: { warn: (_, line) => fields.push(line?.["field"]) } },
  );
  await connect(session);
  expect(kinds(transport)).toEqual(["error AUTH_ERROR"]);
  expect(transport.closed?.code).toBe(3500);
  expect(fields).toHaveLength(1);
  expect(`${fields[0]}`.split(".")[0]).toBe(field);
});

test("only the very object that stands for nobody is a yes without a user", async () => {
  const anonymous = named(NOBODY);
  await connect(anonymous.session);
  expect(kinds(anonymous.transport)).toEqual(["connected"]);
  expect(anonymous.session.userId).toBe("");
  const nameless = named({ ...NOBODY });
  await connect(nameless.session);
  expect(kinds(nameless.transport)).toEqual(["error AUTH_ERROR"]);
});

test("channels of the identity are joined beside those asked for, and nobody is asked about them", async () => {
  const asked: string[] = [];
  const authorizeSubscribe = async ({ channel }: { readonly channel: string }) => {
    asked.push(channel);
    throw new MessagingError("ACL_ERROR", "not yours");
  };
  const world = named(
    { userId: "ada", channels: ["given", "both", "given.*", "given"] },
    { backends: { authorizeSubscribe } },
  );
  await connect(world.session, "both", "asked");
  expect(told(world.transport)).toEqual([
    ["both", undefined],
    ["asked", "ACL_ERROR"],
    ["given", undefined],
    ["given.*", undefined],
  ]);
  expect(asked).toEqual(["asked"]);
  expect(world.session.channels).toEqual(["both", "given", "given.*"]);
  expect(world.session.record().subscriptions).toHaveLength(3);
});

test("[SPEC-A8] a v1 client has them as well, and is told of what it has asked for", async () => {
  const { session, transport } = named({ userId: "ada", channels: ["given"] });
  await connectWith(session, { subscriptions: [{ channel: "asked", token: "t" }] });
  expect(told(transport)).toEqual([["asked", undefined]]);
  expect(session.channels).toEqual(["asked", "given"]);
});

test("of channels for which there is no room an extended client is told, and a v1 client is refused", async () => {
  const identity = { userId: "ada", channels: ["a", "b", "c"] };
  const extended = named(identity, { maxSubscriptions: 3, maxErrors: 0 });
  await connect(extended.session, "x", "y");
  expect(told(extended.transport)).toEqual([
    ["x", undefined],
    ["y", undefined],
    ["a", undefined],
    ["b", "BAD_REQUEST"],
    ["c", "BAD_REQUEST"],
  ]);
  // It is no mistake of the client's, who may make none here.
  expect(extended.transport.closed).toBeUndefined();
  const v1 = named(identity, { maxSubscriptions: 3 });
  await connectWith(v1.session, { subscriptions: [{ channel: "x" }, { channel: "y" }] });
  expect(kinds(v1.transport)).toEqual(["error BAD_REQUEST"]);
  expect(v1.broker.wanted.size).toBe(0);
});

test("a channel of the identity that cannot be had is a refusal of that channel alone", async () => {
  class Half extends QuietBroker {
    override async subscribe(channel: string): Promise<SubscribeResult> {
      if (channel === "down") throw new MessagingError("UNAVAILABLE", "not now");
      return await super.subscribe(channel);
    }
  }
  const authenticate = async () => ({ userId: "ada", channels: ["down", "up"] });
  const extended = sceneWith(new Half(), { backends: { authenticate } });
  await connect(extended.session);
  expect(told(extended.transport)).toEqual([
    ["down", "UNAVAILABLE"],
    ["up", undefined],
  ]);
  expect(extended.session.channels).toEqual(["up"]);
  const v1 = sceneWith(new Half(), { backends: { authenticate } });
  await connectWith(v1.session, {});
  expect(kinds(v1.transport)).toEqual(["error UNAVAILABLE"]);
  expect(v1.transport.closed?.code).toBe(1011);
});
