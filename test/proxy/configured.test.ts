/** Which backend of a configuration is asked for what. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Backends, Caller, RpcRequest } from "../../src/engine/ports/backends.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { configuredBackends, over } from "../../src/proxy/configured.ts";
import { createRouter } from "../../src/proxy/router.ts";
import { parseConfig } from "../../src/server/config/config.ts";

const cancellation = { cancelled: false, onCancel: () => {} };
const payload = create(CloudEventSchema, { id: "mine" });

/** Backends that say who they are. */
function named(name: string): Backends {
  return {
    authenticate: async () => ({ userId: name }),
    authorizeSubscribe: async () => {
      throw new MessagingError("ACL_ERROR", name);
    },
    rpc: async () => create(CloudEventSchema, { id: name }),
  };
}

function configured(settings: object): Backends {
  return configuredBackends(parseConfig(settings).proxy, ({ name }) => named(name));
}

async function rpc(backends: Backends, channel: string, method: string): Promise<unknown> {
  const request = { channel, method, payload } as unknown as RpcRequest;
  try {
    return (await backends.rpc?.(request, cancellation))?.id;
  } catch (error) {
    return MessagingError.from(error).code;
  }
}

async function user(backends: Backends): Promise<string | undefined> {
  return (await backends.authenticate?.({} as never, cancellation))?.userId;
}

async function refuser(backends: Backends, channel: string): Promise<string | undefined> {
  const request = { channel, token: "", caller: {} as Caller };
  try {
    await backends.authorizeSubscribe?.(request, cancellation);
    return undefined;
  } catch (error) {
    return MessagingError.from(error).message;
  }
}

const proxy = [
  { name: "till", endpoint: "https://till", routes: [{ channel: "shop.*", method: "buy" }] },
  {
    name: "shop",
    endpoint: "https://shop",
    routes: [
      { channel: "shop.*", method: "*" },
      { channel: "chat.?", method: "{get,set}" },
    ],
  },
  { name: "late", endpoint: "https://late", routes: [{ channel: "shop.a", method: "buy" }] },
];

test("of all routes in their order the first that matches answers an RPC", async () => {
  const backends = configured({ proxy });
  expect(await rpc(backends, "shop.a", "buy")).toBe("till");
  expect(await rpc(backends, "shop.a.b", "look")).toBe("shop");
  expect(await rpc(backends, "chat.x", "set")).toBe("shop");
});

test("an RPC without a route is refused, or comes back where that is set", async () => {
  expect(await rpc(configured({ proxy }), "other", "get")).toBe("UNIMPLEMENTED");
  const echoing = configured({ proxy, server: { rpc_echo: true } });
  expect(await rpc(echoing, "other", "get")).toBe("mine");
  expect(await rpc(echoing, "shop.a", "buy")).toBe("till");
  // Without any backend the engine itself lets it come back.
  expect(configured({}).rpc).toBeUndefined();
  expect(await rpc(configured({ server: { rpc_echo: false } }), "a", "b")).toBe("UNIMPLEMENTED");
});

const everything = [
  { name: "all", endpoint: "https://all", routes: [{ channel: "*", method: "*" }] },
];

test("a route for everything has no hook by itself", async () => {
  const backends = configured({ proxy: everything });
  expect(await rpc(backends, "a", "$authenticate")).toBe("all");
  expect(backends.authenticate).toBeUndefined();
  expect(backends.authorizeSubscribe).toBeUndefined();
});

test("hooks have the backends that they name, with or without routes", async () => {
  const backends = configured({ proxy, hooks: { authenticate: "late", subscribe: "till" } });
  expect(await user(backends)).toBe("late");
  expect(await refuser(backends, "anything")).toBe("till");
  expect(await rpc(backends, "shop.a", "buy")).toBe("till");
});

test("with the compatibility of v0.1.1 routes have the hooks", async () => {
  const hooks = { compatibility: "v0.1.1" };
  const all = configured({ proxy: everything, hooks });
  expect(await user(all)).toBe("all");
  expect(await refuser(all, "any.channel")).toBe("all");
  const some = configured({
    proxy: [
      { name: "acl", endpoint: "https://acl", routes: [{ channel: "private.*", method: "*" }] },
      { name: "auth", endpoint: "https://auth", routes: [{ method: "$authenticate" }] },
    ],
    hooks,
  });
  expect(await user(some)).toBe("auth");
  expect(await refuser(some, "private.a")).toBe("acl");
  expect(await refuser(some, "public.a")).toBeUndefined();
  // A pattern is refused where one of its channels is.
  expect(await refuser(some, "**")).toBe("acl");
  // A route that the empty channel does not match is no authenticator.
  const chat = [{ endpoint: "https://a", routes: [{ channel: "chat.*", method: "*" }] }];
  expect(configured({ proxy: chat, hooks }).authenticate).toBeUndefined();
});

test("a program's own functions stand above the configuration, also those that come later", async () => {
  const under = configured({ proxy: everything, hooks: { authenticate: "all", subscribe: "all" } });
  const own = over({ authenticate: async () => ({ userId: "own" }) }, under);
  expect(await user(own)).toBe("own");
  expect(await refuser(own, "a")).toBe("all");
  expect(await rpc(own, "a", "b")).toBe("all");
  const router = createRouter();
  const routed = over(router, under);
  expect(await user(routed)).toBe("all");
  router.add({ channel: "", method: "$authenticate" }, named("router"));
  expect(await user(routed)).toBe("router");
  const bare = over({}, configured({}));
  expect([bare.authenticate, bare.authorizeSubscribe, bare.rpc]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
