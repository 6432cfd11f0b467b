/**
 * What the suite says of messages that many clients share, on a server with two threads. All of it, and with four:
 * `npm run conformance -- --host threads-2` and `threads-4`.
 */
import { exactlyOnceCases } from "./cases/exactly-once.ts";
import { patternRecoveryCases } from "./cases/pattern-recovery.ts";
import { presenceCases } from "./cases/presence.ts";
import { recoveryCases } from "./cases/recovery.ts";
import { surveyCases } from "./cases/surveys.ts";
import { threadsHost } from "./hosts/threads.ts";
import { casesOf } from "./vitest.ts";

const CASES = [
  ...recoveryCases,
  ...exactlyOnceCases,
  ...presenceCases,
  ...patternRecoveryCases,
  ...surveyCases,
];

casesOf(threadsHost(2, { opens: "nothing", kinds: "in turn" }), CASES);
