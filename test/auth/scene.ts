/** Authentication with a clock in the test's hand, and what its log says. */
import { Authentication } from "../../src/auth/authentication.ts";
import type { FetchBytes, KeyStore } from "../../src/auth/platform.ts";
import type { Backends, Cancellation } from "../../src/engine/ports/backends.ts";
import type { Identity } from "../../src/engine/ports/identity.ts";
import type { Hmac, LogFields } from "../../src/engine/ports/platform.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { hmac as nodeHmac } from "../../src/server/platform.ts";

/** In seconds, as tokens count; the clock begins here. */
export const NOW = 1_800_000_000;

const NEVER: Cancellation = { cancelled: false, onCancel: () => {} };

export interface SceneOptions {
  readonly application?: Backends;
  readonly fetchBytes?: FetchBytes;
  /** Default that of Node. */
  readonly hmac?: Hmac;
  /** Default none. */
  readonly keyStore?: KeyStore;
}

export interface Line {
  readonly message: string;
  readonly fields: LogFields | undefined;
}

export function scene(
  auth: object,
  { application = {}, fetchBytes, hmac = nodeHmac, keyStore }: SceneOptions = {},
) {
  const lines: Line[] = [];
  const clock = { time: NOW * 1_000, now: () => clock.time };
  const log = (message: string, fields?: LogFields): void => {
    lines.push({ message, fields });
  };
  const logger = { warn: log, info: log, debug: log };
  const nowhere: FetchBytes = async () => {
    throw new Error("nothing is to be fetched here");
  };
  const platform = {
    clock,
    logger,
    fetchBytes: fetchBytes ?? nowhere,
    hmac,
    ...(keyStore && { keyStore }),
  };
  const settings = parseConfig({ auth }).auth;
  const authentication = new Authentication(settings, platform, application);
  const { backends } = authentication;
  const show = async (token: string, clientId = "phone"): Promise<Identity> => {
    const names = { clientId, clientType: "", version: "" };
    const request = { token, ...names, sessionId: "s", address: "" };
    if (backends.authenticate === undefined) throw new Error("nobody is asked");
    return await backends.authenticate(request, NEVER);
  };
  /** The code and the text that a client is refused with. */
  const refused = async (token: string, clientId?: string): Promise<string> => {
    const error = await show(token, clientId).then(
      (identity) => new Error(`it stands for ${identity.userId}`),
      (thrown: unknown) => thrown as Error,
    );
    return error instanceof MessagingError ? `${error.code}: ${error.message}` : `${error}`;
  };
  /** The checks that refusals were logged with. */
  const checks = (): unknown[] =>
    lines
      .filter(({ message }) => message === "client refused")
      .map(({ fields }) => fields?.["check"]);
  return { authentication, backends, checks, clock, lines, refused, show };
}
