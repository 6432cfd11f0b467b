/** Tokens of single subscriptions, as the server reads them. */
import { expect, test } from "vitest";
import {
  type AuthorizeSubscribeRequest,
  type Backends,
  SubscriptionConsent,
} from "../../src/engine/ports/backends.ts";
import { SettingsError } from "../../src/engine/settings/settings.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { goodToken, SECRET } from "../support/tokens.ts";
import { NOW, scene } from "./scene.ts";

const JWT = { jwt: { hmac_secret: SECRET, algorithms: ["HS256"], leeway: "0s" } };
const LISTED = { ...JWT, subscription_tokens: ["private.**", "room.x"] };
const NEVER = { cancelled: false, onCancel: () => {} };

/** The outcome of a subscription: when it ends, a code, or that it is granted for good. */
async function asked(
  { authorizeSubscribe }: Backends,
  channel: string,
  token: string,
): Promise<unknown> {
  const caller = { sessionId: "s", clientId: "phone", clientType: "", userId: "ada" };
  const request: AuthorizeSubscribeRequest = { channel, token, caller };
  try {
    const answer: unknown = await authorizeSubscribe?.(request, NEVER);
    return answer instanceof SubscriptionConsent ? answer.expiresAt : answer;
  } catch (error) {
    return error instanceof MessagingError ? error.code : error;
  }
}

function tokenFor(channels: unknown, more: object = {}): string {
  return goodToken({ sub: "ada", exp: NOW + 60, channels, ...more });
}

const END = (NOW + 60) * 1_000;

test("a channel of the list needs a token that names it, and ends with it", async () => {
  const { backends, lines } = scene(LISTED);
  expect(await asked(backends, "private.a", tokenFor(["private.a"]))).toBe(END);
  expect(await asked(backends, "private.a.b", tokenFor(["other", "private.*.b"]))).toBe(END);
  expect(await asked(backends, "private.*", tokenFor(["private.**"]))).toBe(END);
  const refused: [channel: string, token: string, check: string][] = [
    ["private.a", "", "missing"],
    ["private.a", "hunter2", "form"],
    ["private.a", tokenFor(undefined), "channels"],
    ["private.a", tokenFor([]), "channels"],
    ["private.a", tokenFor(["private.b"]), "channels"],
    ["private.*", tokenFor(["private.a"]), "channels"],
    // Patterns that stand for a channel of the list.
    ["**", tokenFor(["private.**"]), "channels"],
    ["room.*", "", "missing"],
    ["private.a", tokenFor(["private.a"], { sub: "eve" }), "subject"],
    ["private.a", tokenFor(["private.a"], { exp: NOW - 1 }), "expiry"],
    ["private.a", tokenFor(["private.a"], { client: "another" }), "client"],
  ];
  for (const [channel, token, check] of refused) {
    lines.length = 0;
    expect(await asked(backends, channel, token)).toBe("ACL_ERROR");
    expect(lines).toEqual([{ message: "subscription refused", fields: { session: "s", check } }]);
  }
});

test("by what a token can be revoked goes with the yes", async () => {
  const { backends } = scene(LISTED);
  const caller = { sessionId: "s", clientId: "phone", clientType: "", userId: "ada" };
  const consent = async (more: object): Promise<unknown> => {
    const token = tokenFor(["private.a"], more);
    return await backends.authorizeSubscribe?.({ channel: "private.a", token, caller }, NEVER);
  };
  expect(await consent({ jti: "7f3a", iat: NOW - 5 })).toMatchObject({
    token: { tokenId: "7f3a", issuedAt: (NOW - 5) * 1_000 },
  });
  // One that does not say when it was issued is an old one.
  expect(await consent({ iat: undefined })).toMatchObject({ token: { issuedAt: 0 } });
});

test("other channels do not, and their tokens go on as they are", async () => {
  const seen: string[] = [];
  const application: Backends = {
    authorizeSubscribe: async ({ channel, token }) => {
      seen.push(`${channel} ${token}`);
      if (channel.endsWith("closed")) throw new MessagingError("BANNED", "go away");
    },
  };
  const { backends } = scene(LISTED, { application });
  const token = tokenFor(["private.**"]);
  expect(await asked(backends, "public", "sesame")).toBeUndefined();
  expect(await asked(backends, "private.open", token)).toBe(END);
  expect(await asked(backends, "private.closed", token)).toBe("BANNED");
  expect(await asked(backends, "private.closed", "sesame")).toBe("ACL_ERROR");
  // Who is refused by a token is not asked about any more.
  expect(seen).toEqual(["public sesame", `private.open ${token}`, `private.closed ${token}`]);
  const open = scene(JWT, { application });
  expect(await asked(open.backends, "private.open", "sesame")).toBeUndefined();
  expect(scene(JWT).backends.authorizeSubscribe).toBeUndefined();
});

test("a list needs a key, and holds channels and patterns", () => {
  const problems = (auth: object) => {
    try {
      parseConfig({ auth });
      return [];
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      return error.problems.map(({ path }) => path);
    }
  };
  expect(problems(LISTED)).toEqual([]);
  expect(problems({ subscription_tokens: ["a"] })).toEqual(["auth.subscription_tokens"]);
  for (const list of ["a", [""], ["a..b"], [1], ["**.a"]]) {
    expect(problems({ ...JWT, subscription_tokens: list })).toEqual([
      expect.stringMatching(/^auth\.subscription_tokens(\.0)?$/),
    ]);
  }
  expect(problems({ ...JWT, subscription_tokens: ["a", "a"] })).toEqual([
    "auth.subscription_tokens",
  ]);
});
