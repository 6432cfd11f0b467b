/** Who has signed in, in a cookie that no script of a page can read. */
import { seal, unseal } from "./tokens.ts";

export interface Session {
  readonly name: string;
}

export async function sealSession({ name }: Session, signingKey: string): Promise<string> {
  return await seal(signingKey, { sub: name });
}

export async function openSession(
  request: Request,
  signingKey: string,
): Promise<Session | undefined> {
  const cookies = request.headers.get("Cookie") ?? "";
  const sealed = /(?:^|;\s*)session=([\w.-]+)/.exec(cookies)?.[1];
  if (sealed === undefined) return undefined;
  const claims = await unseal(signingKey, sealed);
  return claims?.sub === undefined ? undefined : { name: claims.sub };
}
