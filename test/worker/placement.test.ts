/** Few shards, filled first; wider only when a gateway refuses. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Placement, parseGatewayName, regionOf } from "../../src/worker/placement.ts";
import { connectToGateway } from "../../src/worker/upgrade.ts";
import { Client } from "./socket.ts";

test("width starts at 1, doubles into the new half on a refusal, and shrinks by one a quiet minute", () => {
  let now = 0;
  let chance = 0;
  const placement = new Placement(
    () => now,
    () => chance,
  );
  expect(placement.pick("weur")).toBe(0);
  expect(placement.refused("weur", 1)).toBe(1);
  expect(placement.refused("weur", 1)).toBe(2);
  chance = 0.999;
  expect(placement.pick("weur")).toBe(3);
  expect(placement.refused("weur", 16)).toBe(31);
  expect(placement.width("weur")).toBe(32);
  expect(placement.width("enam")).toBe(1);
  now += 59_999;
  placement.pick("weur");
  expect(placement.width("weur")).toBe(32);
  now += 1;
  placement.pick("weur");
  expect(placement.width("weur")).toBe(31);
  now += 60 * 60_000;
  expect(placement.pick("weur")).toBe(0);
  for (let i = 0; i < 10; i++) expect(placement.refused("weur", 1)).toBeLessThan(64);
  expect(placement.width("weur")).toBe(64);
});

test("regions come from the continent, and only our own gateway names are taken", () => {
  expect(regionOf({ continent: "NA", longitude: "-122" })).toBe("wnam");
  expect(regionOf({ continent: "NA", longitude: "-74" })).toBe("enam");
  expect(regionOf({ continent: "EU", longitude: "2" })).toBe("weur");
  expect(regionOf({ continent: "AS", longitude: "139" })).toBe("apac");
  expect(regionOf(undefined)).toBe("enam");
  expect(parseGatewayName("weur-63")).toEqual({ region: "weur", shard: 63 });
  for (const name of ["weur-64", "weur-01", "weur--1", "mars-1", "weur", "weur-1x", ""]) {
    expect(parseGatewayName(name)).toBeUndefined();
  }
});

test("a refused upgrade goes to the next gateway, and after three refusals it is 503 with a delay", async () => {
  const asked: string[] = [];
  const full = new Response("full", {
    status: 503,
    headers: { "x-messageloop-gateway-width": "2" },
  });
  const response = await connectToGateway(new Request("http://localhost/ws"), (name) => ({
    fetch: async () => {
      asked.push(name);
      return full.clone();
    },
  }));
  expect(new Set(asked).size).toBe(3);
  expect(response.status).toBe(503);
  expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
});

test("a gateway that fails at an upgrade is asked again, and one that always fails is 503 with a delay", async () => {
  for (const failures of [1, 9]) {
    let calls = 0;
    const response = await connectToGateway(new Request("http://localhost/ws"), () => ({
      fetch: async () => {
        calls += 1;
        if (calls <= failures) throw new Error("the object was reset");
        return new Response("taken");
      },
    }));
    expect([calls, response.status]).toEqual(failures === 1 ? [2, 200] : [3, 503]);
    if (failures > 1) expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
  }
});

test("a server that is full accepts and closes with 3504, which a browser can read", async () => {
  const headers = { "x-messageloop-gateway-width": "64", "x-messageloop-refusal": "full" };
  const client = await Client.open({
    encoding: "proto",
    open: (request) =>
      connectToGateway(request, () => ({
        fetch: async () => new Response("full", { status: 503, headers }),
      })),
  });
  expect(await client.closed()).toEqual({ code: 3504, reason: "connection limit" });
});

test("a gateway takes 500 upgrades a second and refuses the next with the width it knows", async () => {
  const stub = exports.GatewayDurableObject.getByName(`burst-${crypto.randomUUID()}`);
  const statuses: number[] = [];
  const open = async (request: Request): Promise<Response> => {
    const told = new Request(request);
    told.headers.set("x-messageloop-gateway-width", "4");
    const response = await stub.fetch(told);
    statuses.push(response.status);
    if (response.status === 503) {
      expect(response.headers.get("x-messageloop-gateway-width")).toBe("4");
    }
    return response;
  };
  // The second of the clock may turn in between, so ask for more than two seconds' worth.
  const attempts = Array.from({ length: 1_100 }, () =>
    Client.open({ open }).catch(() => undefined),
  );
  await Promise.all(attempts);
  const refused = statuses.filter((status) => status === 503).length;
  expect(refused).toBeGreaterThan(0);
  expect(statuses.filter((status) => status === 101).length).toBeGreaterThanOrEqual(500);
});
