/**
 * An application's Worker: it knows its users, makes tokens for their pages, and publishes itself. The key that signs tokens
 * and the key of the server API are secrets of the Worker; a page gets a token that is good for five minutes.
 */
import { openSession, type Session, sealSession } from "./session.ts";
import { publicKeys, signToken } from "./tokens.ts";

interface Env {
  readonly ISSUER: string;
  readonly MESSAGELOOP_URL: string;
  readonly MESSAGELOOP_API_URL: string;
  readonly MESSAGELOOP_API_KEY: string;
  /** A private Ed25519 key as JWK. */
  readonly SIGNING_KEY: string;
  readonly ASSETS: { fetch(request: Request): Promise<Response> };
}

const ROOM = "team.lobby";
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} .-]{0,39}$/u;

const worker = {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    // Another site's page may not sign anybody in or out.
    if (request.method === "POST" && request.headers.get("Origin") !== origin) {
      return Response.json({ message: "not from here" }, { status: 403 });
    }
    switch (`${request.method} ${pathname}`) {
      case "GET /.well-known/jwks.json":
        return Response.json(publicKeys(env.SIGNING_KEY));
      case "POST /login":
        return await logIn(request, env);
      case "POST /logout":
        return leave();
      case "GET /token":
        return await token(request, env);
      default:
        return await env.ASSETS.fetch(request);
    }
  },
};

export default worker;

/** An application's own way to know its users stands here: a password, a passkey, another site's word. */
async function logIn(request: Request, env: Env): Promise<Response> {
  const { name } = (await request.json().catch(() => ({}))) as { name?: unknown };
  if (typeof name !== "string" || !NAME.test(name)) {
    return Response.json({ message: "a name is 1 to 40 letters, digits, spaces" }, { status: 400 });
  }
  const cookie = await sealSession({ name }, env.SIGNING_KEY);
  // Nobody but the server may say this.
  await announce(env, `${name} has come in.`);
  return Response.json({ name }, { headers: { "Set-Cookie": cookieOf(cookie, 86_400) } });
}

function leave(): Response {
  return new Response(null, { status: 204, headers: { "Set-Cookie": cookieOf("", 0) } });
}

/** What a page connects with. It asks again whenever its token has come to its end. */
async function token(request: Request, env: Env): Promise<Response> {
  const session: Session | undefined = await openSession(request, env.SIGNING_KEY);
  if (session === undefined) {
    return Response.json({ message: "who are you?" }, { status: 401 });
  }
  const grants = [{ pattern: "team.**", actions: ["subscribe", "publish", "presence", "history"] }];
  const { name } = session;
  const made = await signToken(env.SIGNING_KEY, { issuer: env.ISSUER, name, grants });
  return Response.json(
    { name, url: env.MESSAGELOOP_URL, token: made },
    { headers: { "Cache-Control": "no-store" } },
  );
}

async function announce(env: Env, text: string): Promise<void> {
  const answer = await fetch(`${env.MESSAGELOOP_API_URL}/channels/${ROOM}`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${env.MESSAGELOOP_API_KEY}`,
      "Content-Type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": crypto.randomUUID(),
      "ce-source": "/worker",
      "ce-type": "notice",
    },
    body: JSON.stringify({ text }),
  }).catch((error: unknown) => new Response(`${error}`, { status: 503 }));
  // Who comes in does so whether it is announced or not.
  if (!answer.ok) console.error(`announcing: ${answer.status} ${await answer.text()}`);
}

function cookieOf(value: string, seconds: number): string {
  return `session=${value}; Max-Age=${seconds}; Path=/; HttpOnly; Secure; SameSite=Strict`;
}
