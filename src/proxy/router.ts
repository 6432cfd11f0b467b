/**
 * Which of the application's backends answers what. Patterns are the original's route globs: `*` and
 * `**` match any text, dots included, `?` one character, `[ab]`, `[a-z]` and `[!a]` one of a set,
 * `{x,y}` one of several, and a backslash takes the next character as it is. The first route that
 * matches wins.
 */
import type { Proxy as ProxyPort } from "../engine/ports.ts";
import { MessagingError } from "../protocol/errors.ts";

export interface RoutePattern {
  /** Glob over the channel. */
  readonly channel: string;
  /** Glob over the method of an RPC; `subscribe` for the authorization of a subscription. */
  readonly method: string;
}

/** The method under which the authenticator is looked up, with an empty channel, as in v0.1.1. */
export const AUTHENTICATE_METHOD = "$authenticate";

/** An empty router; a backend for everything else goes behind the more special ones. */
export function createRouter(): ProxyRouter {
  return new ProxyRouter();
}

export class ProxyRouter implements ProxyPort {
  readonly #routes: { channel: RegExp; method: RegExp; proxy: ProxyPort }[] = [];

  /** Adds a route behind those that are there. @throws MessagingError BAD_REQUEST for a bad glob. */
  add({ channel, method }: RoutePattern, proxy: ProxyPort): this {
    this.#routes.push({ channel: globPattern(channel), method: globPattern(method), proxy });
    return this;
  }

  /** The backend that a call goes to, if there is one. */
  find(channel: string, method: string): ProxyPort | undefined {
    return this.#routes.find((route) => route.channel.test(channel) && route.method.test(method))
      ?.proxy;
  }

  /** Present only where some route leads to an authenticator: then everyone is authenticated. */
  get authenticate(): ProxyPort["authenticate"] {
    const proxy = this.find("", AUTHENTICATE_METHOD);
    return proxy?.authenticate?.bind(proxy);
  }

  async authorizeSubscribe(
    ...[request, cancellation]: Parameters<NonNullable<ProxyPort["authorizeSubscribe"]>>
  ): Promise<void> {
    const proxy = this.find(request.channel, "subscribe");
    await proxy?.authorizeSubscribe?.(request, cancellation);
  }

  async rpc(...[request, cancellation]: Parameters<NonNullable<ProxyPort["rpc"]>>) {
    const proxy = this.find(request.channel, request.method);
    // Where no route leads anywhere the request comes back, as without any backend.
    if (proxy?.rpc === undefined) return request.payload;
    return await proxy.rpc(request, cancellation);
  }
}

/** A glob as an anchored expression. */
export function globPattern(glob: string): RegExp {
  let source = "";
  let braces = 0;
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i] as string;
    if (character === "\\") {
      i += 1;
      if (i === glob.length) throw bad(glob, "ends in a backslash");
      source += literal(glob[i] as string);
    } else if (character === "*") source += "[\\s\\S]*";
    else if (character === "?") source += "[\\s\\S]";
    else if (character === "[") {
      const end = glob.indexOf("]", i + 2);
      if (end < 0) throw bad(glob, "has an open bracket");
      const negated = glob[i + 1] === "!";
      const set = glob.slice(i + (negated ? 2 : 1), end);
      source += `[${negated ? "^" : ""}${set.replace(/[\\\]^]/g, "\\$&")}]`;
      i = end;
    } else if (character === "{") {
      braces += 1;
      source += "(?:";
    } else if (character === "}" && braces > 0) {
      braces -= 1;
      source += ")";
    } else if (character === "," && braces > 0) source += "|";
    else source += literal(character);
  }
  if (braces > 0) throw bad(glob, "has an open brace");
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    throw bad(glob, "has a set that is no range");
  }
}

function literal(character: string): string {
  return character.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

function bad(glob: string, why: string): MessagingError {
  return new MessagingError("BAD_REQUEST", `the pattern ${glob} ${why}`);
}
