/**
 * What the suite says of frames, their sizes and their order, on the self-hosted host where all frames of clients are compressed: nothing
 * is different for them. What else it says begins after a frame was read and ends before one is written, or is about calls
 * over HTTP. All of it: `npm run conformance -- --host compressed`.
 */
import { burstCases } from "./cases/bursts.ts";
import { clientSurveyCases } from "./cases/client-surveys.ts";
import { closingCases } from "./cases/closing.ts";
import { compatibilityCases } from "./cases/compatibility.ts";
import { exactlyOnceCases } from "./cases/exactly-once.ts";
import { handshakeCases } from "./cases/handshake.ts";
import { historyCases } from "./cases/history.ts";
import { limitCases } from "./cases/limits.ts";
import { publishCases } from "./cases/publish.ts";
import { recoveryCases } from "./cases/recovery.ts";
import { recoveryLimitCases } from "./cases/recovery-limits.ts";
import { recoveryLoadCases } from "./cases/recovery-load.ts";
import { rpcCases } from "./cases/rpc.ts";
import { sessionCases } from "./cases/session.ts";
import { subscribeCases } from "./cases/subscribe.ts";
import { vectorCases } from "./cases/vectors.ts";
import { compressingHost } from "./hosts/server.ts";
import { casesOf } from "./vitest.ts";

casesOf(compressingHost, [
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
  ...recoveryLimitCases,
  ...historyCases,
  ...rpcCases,
  ...clientSurveyCases,
  ...closingCases,
  ...limitCases,
]);
