/** The rights of callers at the doors of an isolate, made once for its settings: failures with keys are counted in one place. */
import { RuleAuthorizer } from "../../access/authorizer.ts";
import { made } from "../../channels/maps.ts";
import type { Authorizer } from "../../engine/ports/access.ts";
import { Keys } from "../../http/keys/keys.ts";
import { webSha256 } from "../../http/keys/sha256.ts";
import { webHmac } from "../../http/tickets/hmac.ts";
import { Tickets } from "../../http/tickets/tickets.ts";
import { clock, consoleLoggerAt } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";

export interface Access {
  readonly keys: Keys;
  readonly tickets: Tickets;
  readonly authorizer: Authorizer;
}

const known = new WeakMap<WorkerSettings, Access>();

/** The same for the same settings, as long as the isolate lives. */
export function accessOf(settings: WorkerSettings): Access {
  return made(known, settings, () => {
    const { access, apiKeys, ticketKeys, logLevel } = settings;
    const logger = consoleLoggerAt(logLevel);
    return {
      keys: new Keys({ entries: apiKeys, sha256: webSha256, clock, logger }),
      tickets: new Tickets({ keys: ticketKeys, hmac: webHmac, clock }),
      authorizer: new RuleAuthorizer(access, logger),
    };
  });
}
