/** The settings that say whose pages may connect. Every host has them under the same paths. */
import * as v from "valibot";

const NOT_AN_ORIGIN = "must be an origin such as https://app.example, or *";

const origin = v.pipe(
  v.string(NOT_AN_ORIGIN),
  v.check(
    (text) => text === "*" || (URL.canParse(text) && new URL(text).origin === text.toLowerCase()),
    NOT_AN_ORIGIN,
  ),
  v.toLowerCase(),
);

/** `transport.websocket.allowed_origins`: origins beside the server's own host; `*` allows all. */
export const allowedOrigins = v.array(origin, "must be a list of origins");

const NOT_A_HOST = "must be a host such as app.example or app.example:8443";

const host = v.pipe(
  v.string(NOT_A_HOST),
  v.regex(/^(?:\[[\da-f:.]+\]|[^\s/?#@\\:[\]*]+)(?::\d{1,5})?$/i, NOT_A_HOST),
  v.toLowerCase(),
);

/**
 * `transport.websocket.allowed_hosts`: names that the server goes by; without any it takes every name for
 * its own.
 */
export const allowedHosts = v.array(host, "must be a list of hosts");
