/** How long a call takes from region to region. */
import { REGIONS, type Region } from "../../src/worker/placement.ts";

/**
 * Round trips in milliseconds, 95th percentile, between the Azure regions West US, East US, Brazil South, West Europe, Poland
 * Central, Southeast Asia, Australia East, South Africa North and UAE North: "Azure network round-trip latency statistics",
 * learn.microsoft.com/azure/networking/azure-network-latency, 30 days until 2026-07-30. Cloudflare publishes no such
 * table. Of the two directions it is the one from the region that `REGIONS` names first.
 */
const ROUND_TRIPS: Readonly<Record<Region, readonly number[]>> = {
  //    enam sam weur eeur apac oc afr me
  wnam: [72, 171, 151, 167, 172, 142, 279, 249],
  enam: [119, 89, 104, 229, 207, 226, 190],
  sam: [191, 211, 337, 298, 327, 293],
  weur: [28, 182, 282, 171, 123],
  eeur: [201, 300, 199, 139],
  apac: [98, 190, 90],
  oc: [347, 179],
  afr: [104],
  me: [],
};

/**
 * The same between two machines of one region: what IBM Cloud states between zones of Dallas,
 * cloud.ibm.com/docs/vpc, "Network latency dashboard", 30 days until 2024-10-27.
 */
const INSIDE_MS = 2.2;

/** One way, in milliseconds. */
export function oneWay(from: Region, to: Region): number {
  if (from === to) return INSIDE_MS / 2;
  const [one, other] = [REGIONS.indexOf(from), REGIONS.indexOf(to)];
  const row = ROUND_TRIPS[one < other ? from : to];
  return (row[Math.abs(one - other) - 1] ?? Number.NaN) / 2;
}

/** The other regions, the nearest first. */
export function nearest(region: Region): readonly Region[] {
  return REGIONS.filter((other) => other !== region).toSorted(
    (one, other) => oneWay(region, one) - oneWay(region, other),
  );
}
