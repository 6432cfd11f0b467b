/** Routes to backends: the original's globs, first match wins. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Backends, RpcRequest } from "../../src/engine/ports/backends.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { Glob } from "../../src/proxy/glob.ts";
import { createRouter } from "../../src/proxy/router.ts";

const cancellation = { cancelled: false, onCancel: () => {} };

test.each([
  ["chat.*", ["chat.", "chat.a", "chat.a.b"], ["chat", "xchat.a", "Chat.a"]],
  ["**", ["", "a", "a.b", "a\nb"], []],
  ["", [""], ["a"]],
  ["a?c", ["abc", "a.c"], ["ac", "abbc"]],
  ["[ab]x", ["ax", "bx"], ["cx", "x"]],
  ["[a-c]x", ["ax", "cx"], ["dx"]],
  ["[!a-c]x", ["dx"], ["ax", "x"]],
  ["{get,set}.*", ["get.a", "set.b"], ["let.a", "get"]],
  ["a\\*b", ["a*b"], ["axb", "a\\*b"]],
  ["a+(b)|c.d", ["a+(b)|c.d"], ["aab", "a+(b)|cxd"]],
  ["[\\]]", ["\\]"], ["x", "]", "\\"]],
  ["[]a]x", ["]x", "ax"], ["x", "bx"]],
  ["[a-]x", ["ax", "-x"], ["bx"]],
  ["{a,{b,c}d,}e", ["ae", "bde", "cde", "e"], ["be", "a", "de"]],
  ["{a*,b}c", ["ac", "abc", "bc"], ["bbc"]],
  ["a,b}", ["a,b}"], ["a", "b"]],
])("the glob %s", (glob, matching, others) => {
  const pattern = new Glob(glob);
  for (const text of matching) expect(pattern.test(text), text).toBe(true);
  for (const text of others) expect(pattern.test(text), text).toBe(false);
});

test("a long text costs no more than to be read, whatever is in it", () => {
  const pattern = new Glob("{a*b*c,*a?c*,[!x]*,a*a*a*a*a*d}{e,*f}");
  const texts = ["ab".repeat(30_000), "a".repeat(60_000), `${"abcdx".repeat(12_000)}f`];
  expect(texts.map((text) => pattern.test(text))).toEqual([false, false, true]);
  const began = performance.now();
  for (let i = 0; i < 20; i++) for (const text of texts) pattern.test(text);
  // 3.6 million units: a tenth of a second where steps are remembered, and many seconds where not.
  expect(performance.now() - began).toBeLessThan(2_000);
});

test.each(["a\\", "[ab", "{a,b", "[z-a]"])("the glob %s is refused", (glob) => {
  expect(() => new Glob(glob)).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
});

function named(name: string): Backends {
  return {
    rpc: async () => create(CloudEventSchema, { id: name }),
    authorizeSubscribe: async () => {
      throw new Error(name);
    },
  };
}

const payload = create(CloudEventSchema, { id: "mine" });

async function call(router: Backends, channel: string, method: string): Promise<unknown> {
  const request = { channel, method, payload } as unknown as RpcRequest;
  return (await router.rpc?.(request, cancellation))?.id;
}

test("the first route that matches channel and method answers; without one the request comes back", async () => {
  const router = createRouter()
    .add({ channel: "shop.*", method: "buy" }, named("till"))
    .add({ channel: "shop.*", method: "*" }, named("shop"));
  expect(await call(router, "shop.a", "buy")).toBe("till");
  expect(await call(router, "shop.a", "look")).toBe("shop");
  expect(await call(router, "chat", "buy")).toBe("mine");
});

test("subscriptions are asked for under the method subscribe", async () => {
  const router = createRouter().add({ channel: "a.*", method: "subscribe" }, named("guard"));
  const ask = (channel: string) =>
    router.authorizeSubscribe({ channel, token: "", caller: {} as never }, cancellation);
  await expect(ask("a.b")).rejects.toThrow("guard");
  await expect(ask("b")).resolves.toBeUndefined();
});

test("there is an authenticator only where a route leads to one", async () => {
  const authenticate = async () => ({ userId: "ada" });
  const router = createRouter().add({ channel: "chat.*", method: "*" }, { authenticate });
  expect(router.authenticate).toBeUndefined();
  router.add({ channel: "*", method: "*" }, named("no authenticator"));
  expect(router.authenticate).toBeUndefined();
  const other = createRouter().add({ channel: "", method: "$authenticate" }, { authenticate });
  expect(await other.authenticate?.({} as never, cancellation)).toEqual({ userId: "ada" });
});
