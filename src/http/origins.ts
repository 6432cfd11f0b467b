/** The setting that says whose pages may connect. Every host has it under the same path. */
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
