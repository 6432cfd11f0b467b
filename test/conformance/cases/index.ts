/** Every case of the suite. */
import type { Case } from "../case.ts";
import { accessCases } from "./access.ts";
import { closingCases } from "./closing.ts";
import { compatibilityCases } from "./compatibility.ts";
import { handshakeCases } from "./handshake.ts";
import { limitCases } from "./limits.ts";
import { loadCases } from "./load.ts";
import { publishCases } from "./publish.ts";
import { rpcCases } from "./rpc.ts";
import { sessionCases } from "./session.ts";
import { slowConsumerCases } from "./slow-consumers.ts";
import { streamCases } from "./streams.ts";
import { subscribeCases } from "./subscribe.ts";
import { surveyCases } from "./surveys.ts";
import { vectorCases } from "./vectors.ts";

export const CASES: readonly Case[] = [
  ...handshakeCases,
  ...sessionCases,
  ...vectorCases,
  ...compatibilityCases,
  ...subscribeCases,
  ...publishCases,
  ...rpcCases,
  ...surveyCases,
  ...accessCases,
  ...closingCases,
  ...limitCases,
  ...streamCases,
  ...slowConsumerCases,
  ...loadCases,
];
