/** What a gateway, or who has no sessions at all, does to the sessions of another gateway. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { sessionlessBroker } from "../../src/objects/gateway/sessionless.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { CAPABILITIES } from "../engine/scene.ts";
import { Cluster, REGIONS } from "./cluster.ts";
import { Life } from "./place.ts";

const ROOM = "room";
const event = create(CloudEventSchema, { id: "e", source: "/server", type: "t" });

function withoutSessions(cluster: Cluster): Engine {
  const { platform } = cluster;
  const random = { uuid: () => crypto.randomUUID() };
  const calls = cluster.callsOf(new Life(platform), "");
  const isGateway = (name: string): boolean => /^[a-z]$/.test(name);
  const broker = sessionlessBroker({
    calls,
    isGateway,
    random,
    platform,
    region: REGIONS[0],
    regions: REGIONS,
    keepsDirectory: true,
  });
  return new Engine({ ...platform, broker, random, capabilities: CAPABILITIES });
}

test("a session on another gateway is subscribed, unsubscribed and disconnected by its id", async () => {
  const cluster = new Cluster();
  const { engine } = cluster.gateway("a");
  const there = await cluster.gateway("b").client();
  const { id } = there.session;
  expect(await cluster.time.until(engine.subscribe(id, [ROOM, "bad..name"]))).toMatchObject({
    results: { [ROOM]: true, "bad..name": false },
    errors: { "bad..name": { code: "BAD_REQUEST" } },
  });
  await there.publish(ROOM, "heard");
  await cluster.time.pass(100);
  expect(there.heard()).toEqual(["room e1/1 heard"]);
  expect(await cluster.time.until(engine.unsubscribe(id, [ROOM]))).toEqual({ [ROOM]: true });
  expect(await cluster.time.until(engine.disconnect(id, 3501))).toBe(true);
  expect(there.session.ended).toBe(true);
  expect(await cluster.time.until(engine.disconnect(id, 3501))).toBe(false);
  expect(cluster.warnings).toEqual([]);
});

test("who has no sessions publishes, reads, and reaches sessions", async () => {
  const cluster = new Cluster();
  const there = await cluster.gateway("b").client("ann");
  await there.subscribe(ROOM);
  there.told();
  const engine = withoutSessions(cluster);
  const results = [engine.publish(ROOM, event), engine.publish(ROOM, event)];
  const positions = await cluster.time.until(Promise.all(results));
  expect(positions.map(({ position }) => position.offset)).toEqual([1, 2]);
  // What one request publishes to a channel goes there together.
  expect(cluster.calls.filter((call) => call === "room publish")).toHaveLength(1);
  const history = await cluster.time.until(engine.history(ROOM, { limit: -1 }));
  expect(history.entries.map(({ offset }) => offset)).toEqual([1n, 2n]);
  const { members } = await cluster.time.until(engine.presenceOf(ROOM));
  expect(members.map(({ clientId }) => clientId)).toEqual(["ann"]);
  await cluster.time.until(engine.removeHistory(ROOM));
  expect(await cluster.time.until(engine.disconnect(there.session.id, 3501))).toBe(true);
  expect(cluster.calls.filter((call) => /register|hear$/.test(call))).toHaveLength(1);
});

test("a session id that no gateway has made is nowhere, and nobody is called for it", async () => {
  const cluster = new Cluster();
  const engine = withoutSessions(cluster);
  for (const id of ["", ".", "x", "ä.1", "not-a-gateway.1", "B.1", `${"b".repeat(10_000)}.1`]) {
    expect(await cluster.time.until(engine.disconnect(id, 3501))).toBe(false);
    expect(await cluster.time.until(engine.subscribe(id, [ROOM]))).toEqual({
      results: { [ROOM]: false },
      errors: {},
    });
  }
  expect(cluster.calls).toEqual([]);
  // One that a gateway may have made, and has not.
  expect(await cluster.time.until(engine.disconnect("b.7", 3501))).toBe(false);
});

test("where a gateway fails or does not answer the outcome is unknown, and it is asked once", async () => {
  for (const fate of ["lost", "unanswered", "hanging"] as const) {
    const cluster = new Cluster();
    const there = await cluster.gateway("b").client();
    const engine = withoutSessions(cluster);
    let asked = 0;
    cluster.fate = (_, method) => {
      if (method !== "call") return "carried";
      asked += 1;
      return fate;
    };
    const call = engine.disconnect(there.session.id, 3501);
    await expect(cluster.time.until(call)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(asked).toBe(1);
    expect(cluster.warnings).toHaveLength(1);
  }
});

test("what cannot be read, or is asked by a newer version, is told as an error and is no accident", async () => {
  const cluster = new Cluster();
  const { broker } = cluster.gateway("a");
  const calls = cluster.callsOf(new Life(cluster.platform), "");
  const answered = async (request: Uint8Array): Promise<string> => {
    const answer = await cluster.time.until(calls.gateway("a").call(request));
    return new TextDecoder().decode(answer);
  };
  expect(await answered(new Uint8Array())).toContain("BAD_REQUEST");
  expect(await answered(new Uint8Array([0xff]))).toContain("INTERNAL_ERROR");
  expect(cluster.warnings).toHaveLength(1);
  expect(broker.stats()).toEqual({ registrations: 0, publishing: 0 });
});

test("a message for sessions goes out with one call to each of their gateways", async () => {
  const cluster = new Cluster();
  const [one, two] = [await cluster.gateway("b").client(), await cluster.gateway("b").client()];
  const three = await cluster.gateway("c").client();
  const engine = withoutSessions(cluster);
  const ids = [one, two, three].map(({ session }) => session.id);
  const outcome = await cluster.time.until(
    engine.publishToSessions([...ids, "b.9", "not-a-gateway.1"], event),
  );
  expect(outcome.reached.toSorted()).toEqual(ids.toSorted());
  expect(cluster.calls).toEqual(["b call", "c call"]);
  for (const client of [one, two, three]) expect(client.told()).toHaveLength(1);
  cluster.fate = (object) => (object === "c" ? "lost" : "carried");
  const partly = await cluster.time.until(engine.publishToSessions(ids, event));
  expect(partly.reached).toEqual(ids.slice(0, 2));
  expect([...partly.failed].map(([id, { code }]) => [id, code])).toEqual([[ids[2], "UNAVAILABLE"]]);
});
