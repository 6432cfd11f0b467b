/** Which backend a configuration names for an event, and how it is told. */
import { expect, test } from "vitest";
import { CHANNEL_KINDS, LIFECYCLE_KINDS } from "../../src/engine/ports/lifecycle.ts";
import { configuredHooks } from "../../src/hooks/configured.ts";
import { httpTeller } from "../../src/hooks/tellers.ts";
import { parseConfig } from "../../src/server/index.ts";
import { event, hmac, ScriptedBackend } from "./scene.ts";

const SECRET = "a secret of at least 32 characters";

function configured(config: Readonly<Record<string, unknown>>) {
  const { proxy } = parseConfig(config);
  const made: string[] = [];
  const targets = configuredHooks(proxy, ({ name }) => {
    made.push(name);
    return { most: 1, send: async () => undefined };
  });
  const forEvent = (...[kind, channel = ""]: [Parameters<typeof event>[1], string?]) =>
    targets.backends
      .filter((one) => one.takes(event("s", kind, { channel })))
      .map(({ name }) => name);
  return { kinds: [...targets.kinds], made, forEvent };
}

const backend = (name: string, routes: readonly unknown[] = []) => ({
  name,
  endpoint: `https://${name}.example/hooks`,
  routes,
});

test("each hook goes to the backend that it names, and without a name to nobody", () => {
  const { kinds, made, forEvent } = configured({
    proxy: [backend("one"), backend("two"), backend("three", [{ channel: "*", method: "*" }])],
    hooks: { connected: "one", disconnected: "two" },
  });
  expect(kinds).toEqual(["connected", "disconnected"]);
  expect(made).toEqual(["one", "two"]);
  expect(forEvent("connected")).toEqual(["one"]);
  expect(forEvent("disconnected")).toEqual(["two"]);
  expect(forEvent("subscribed", "a")).toEqual([]);
});

test("a route for everything alone tells nobody", () => {
  const { kinds, made } = configured({ proxy: [backend("all", [{ channel: "*", method: "*" }])] });
  expect(kinds).toEqual([]);
  expect(made).toEqual([]);
});

test("with compatibility the routes decide, as in v0.1.1", () => {
  const { kinds, made, forEvent } = configured({
    proxy: [
      backend("chat", [{ channel: "chat.*", method: "*" }]),
      backend("ends", [{ channel: "", method: "disconnect" }]),
      backend("auth", [{ channel: "*", method: "$authenticate" }]),
      backend("rest", [{ channel: "*", method: "unsubscribe" }]),
      backend("rpc", [{ channel: "*", method: "rpc" }]),
    ],
    hooks: { compatibility: "v0.1.1" },
  });
  expect(kinds.toSorted()).toEqual(["connected", "disconnected", "subscribed", "unsubscribed"]);
  expect(made).toEqual(["chat", "ends", "auth", "rest"]);
  expect(forEvent("connected")).toEqual(["auth"]);
  expect(forEvent("disconnected")).toEqual(["ends"]);
  expect(forEvent("subscribed", "chat.1")).toEqual(["chat"]);
  expect(forEvent("subscribed", "news")).toEqual([]);
  expect(forEvent("unsubscribed", "chat.1")).toEqual(["chat"]);
  expect(forEvent("unsubscribed", "news")).toEqual(["rest"]);
});

test("a hook that names no backend is an error with its path", () => {
  for (const kind of LIFECYCLE_KINDS) {
    expect(() => configured({ proxy: [backend("one")], hooks: { [kind]: "two" } })).toThrow(
      `hooks.${kind}: is no name of a backend`,
    );
    expect(() =>
      configured({ proxy: [backend("one")], hooks: { compatibility: "v0.1.1", [kind]: "one" } }),
    ).toThrow(`hooks.${kind}: does nothing with compatibility`);
  }
});

test("batches are of CloudEvents alone", () => {
  expect(() =>
    configured({ proxy: [{ ...backend("one"), http: { batch_events: true } }] }),
  ).toThrow("proxy.0.http.batch_events: needs the payload cloudevents");
});

test("the form is the backend's: what is sent for each", async () => {
  const sent = async (way: Readonly<Record<string, unknown>>) => {
    const { proxy } = parseConfig({
      proxy: [{ ...backend("app"), signing_secrets: [SECRET], timeout: "3s", ...way }],
      hooks: { connected: "app" },
    });
    const app = new ScriptedBackend();
    const clock = { now: () => 1_700_000_000_000 };
    const [config] = proxy.backends;
    if (config === undefined) throw new Error("there is no backend");
    expect(config.timeouts.events).toBe(3_000);
    const teller = httpTeller(config, app.post, { hmac, clock });
    const events = [event("s", "connected"), event("s", "disconnected")] as const;
    expect(await teller.send("id", events)).toBeUndefined();
    const [request] = app.requests;
    expect(request?.headers["webhook-signature"]).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/);
    return `${teller.most} ${request?.contentType} ${request?.hook} ${request?.path ?? ""}`;
  };
  expect(await sent({})).toBe("1 application/json on_connected ");
  expect(await sent({ http: { payload: "v0.1.1" } })).toBe("1 application/json on_connected ");
  expect(await sent({ http: { payload: "cloudevents" } })).toBe(
    "1 application/cloudevents+json on_connected ",
  );
  expect(await sent({ http: { payload: "cloudevents", batch_events: true } })).toBe(
    "100 application/cloudevents-batch+json events ",
  );
  expect(await sent({ connect: { encoding: "proto" } })).toBe(
    "1 application/proto on_connected /messageloop.proxy.v1.ProxyService/OnConnected",
  );
});

test("who can tell of some kinds alone has targets for those", () => {
  const { proxy } = parseConfig({
    proxy: [backend("one"), backend("two")],
    hooks: { connected: "one", occupied: "two" },
  });
  const teller = { most: 1, send: async () => undefined };
  const { kinds } = configuredHooks(proxy, () => teller, CHANNEL_KINDS);
  expect([...kinds]).toEqual(["occupied"]);
  const none = parseConfig({ proxy: [backend("one")], hooks: { connected: "one" } }).proxy;
  expect(configuredHooks(none, () => teller, CHANNEL_KINDS)).toEqual({
    kinds: new Set(),
    backends: [],
  });
});
