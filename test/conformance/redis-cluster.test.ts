/**
 * What the suite says of channels, their logs and members, and of what holds on every node, on two self-hosted servers that share a
 * Redis Cluster. Of the rest a cluster has no part. All of it: `npm run conformance -- --host cluster`.
 */
import { expect, test } from "vitest";
import { burstCases } from "./cases/bursts.ts";
import { clientSurveyCases } from "./cases/client-surveys.ts";
import { controlCases } from "./cases/control.ts";
import { exactlyOnceCases } from "./cases/exactly-once.ts";
import { gapCases } from "./cases/gaps.ts";
import { historyCases } from "./cases/history.ts";
import { patternRecoveryCases } from "./cases/pattern-recovery.ts";
import { patternCases } from "./cases/patterns.ts";
import { presenceCases } from "./cases/presence.ts";
import { presenceLeavingCases } from "./cases/presence-leaving.ts";
import { presenceRequestCases } from "./cases/presence-requests.ts";
import { publishCases } from "./cases/publish.ts";
import { recoveryCases } from "./cases/recovery.ts";
import { recoveryLimitCases } from "./cases/recovery-limits.ts";
import { recoveryLoadCases } from "./cases/recovery-load.ts";
import { subscribeCases } from "./cases/subscribe.ts";
import { surveyCases } from "./cases/surveys.ts";
import { tokenCases } from "./cases/tokens.ts";
import { clusterHost } from "./hosts/redis.ts";
import { casesOf } from "./vitest.ts";

casesOf(clusterHost, [
  ...subscribeCases,
  ...publishCases,
  ...burstCases,
  ...exactlyOnceCases,
  ...recoveryCases,
  ...recoveryLoadCases,
  ...gapCases,
  ...recoveryLimitCases,
  ...historyCases,
  ...presenceCases,
  ...presenceRequestCases,
  ...presenceLeavingCases,
  ...patternCases,
  ...patternRecoveryCases,
  ...surveyCases,
  ...clientSurveyCases,
  ...tokenCases,
  ...controlCases,
]);

test("the channels of the cases were on all masters", async () => {
  const { servers } = await clusterHost.redis();
  const channels = await Promise.all(
    servers.map(async (server) => (await server.command("KEYS", "*}:meta")) as string[]),
  );
  // Their names are random.
  for (const keys of channels) expect(keys.length).toBeGreaterThan(50);
});
