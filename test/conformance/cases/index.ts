/** Every case of the suite. */
import type { Case } from "../case.ts";
import { accessCases } from "./access.ts";
import { accessRuleCases } from "./access-rules.ts";
import { burstCases } from "./bursts.ts";
import { clientSurveyCases } from "./client-surveys.ts";
import { closingCases } from "./closing.ts";
import { compatibilityCases } from "./compatibility.ts";
import { controlCases } from "./control.ts";
import { deadlineCases } from "./deadlines.ts";
import { eventCases } from "./events.ts";
import { exactlyOnceCases } from "./exactly-once.ts";
import { gapCases } from "./gaps.ts";
import { handshakeCases } from "./handshake.ts";
import { historyCases } from "./history.ts";
import { historyUrlCases } from "./history-urls.ts";
import { limitCases } from "./limits.ts";
import { loadCases } from "./load.ts";
import { openCases } from "./open.ts";
import { patternRecoveryCases } from "./pattern-recovery.ts";
import { patternCases } from "./patterns.ts";
import { presenceCases } from "./presence.ts";
import { presenceLeavingCases } from "./presence-leaving.ts";
import { presenceRequestCases } from "./presence-requests.ts";
import { publishCases } from "./publish.ts";
import { recoveryCases } from "./recovery.ts";
import { recoveryLimitCases } from "./recovery-limits.ts";
import { recoveryLoadCases } from "./recovery-load.ts";
import { rpcCases } from "./rpc.ts";
import { sessionCases } from "./session.ts";
import { slowConsumerCases } from "./slow-consumers.ts";
import { streamChannelCases } from "./stream-channels.ts";
import { streamCases } from "./streams.ts";
import { subscribeCases } from "./subscribe.ts";
import { surveyCases } from "./surveys.ts";
import { tokenCases } from "./tokens.ts";
import { vectorCases } from "./vectors.ts";

export const CASES: readonly Case[] = [
  ...handshakeCases,
  ...sessionCases,
  ...vectorCases,
  ...compatibilityCases,
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
  ...rpcCases,
  ...surveyCases,
  ...clientSurveyCases,
  ...accessCases,
  ...accessRuleCases,
  ...tokenCases,
  ...closingCases,
  ...controlCases,
  ...deadlineCases,
  ...limitCases,
  ...streamCases,
  ...streamChannelCases,
  ...openCases,
  ...eventCases,
  ...historyUrlCases,
  ...slowConsumerCases,
  ...loadCases,
];
