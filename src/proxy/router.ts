/**
 * Which of the application's backends answers what. Routes are the original's globs, which glob.ts
 * explains. The first route that matches wins.
 */
import { isPattern } from "../channels/names.ts";
import type { Backends } from "../engine/ports/backends.ts";
import { Glob } from "./glob.ts";
import { Reach } from "./reach.ts";

export interface RoutePattern {
  /** Glob over the channel. */
  readonly channel: string;
  /** Glob over the method of an RPC; `subscribe` for the authorization of a subscription. */
  readonly method: string;
}

/**
 * The method under which the authenticator is looked up, with an empty channel, as in v0.1.1.
 *
 * @example
 * createRouter().add({ channel: "", method: AUTHENTICATE_METHOD }, users);
 */
export const AUTHENTICATE_METHOD = "$authenticate";

/** The method under which subscriptions are authorized. */
export const SUBSCRIBE_METHOD = "subscribe";

/**
 * An empty router; a backend for everything else goes after the more special ones.
 *
 * A subscription to a pattern is granted only where no channel that the pattern stands for is refused:
 * every route that decides about one of them is asked, with the pattern as `channel`.
 *
 * @example
 * const backends = createRouter()
 *   .add({ channel: "private.*", method: "subscribe" }, { authorizeSubscribe: onlyForOwners })
 *   .add({ channel: "*", method: "*" }, everythingElse);
 */
export function createRouter(): ProxyRouter {
  return new ProxyRouter();
}

interface Route {
  readonly channel: Glob;
  readonly method: Glob;
  readonly backends: Backends;
}

export class ProxyRouter implements Backends {
  readonly #routes: Route[] = [];
  /** Made for the first pattern after a route was added. */
  #reach: { readonly routes: readonly Route[]; readonly reach: Reach } | undefined;

  /** Adds a route after those that are there. @throws MessagingError BAD_REQUEST for a bad glob. */
  add({ channel, method }: RoutePattern, backends: Backends): this {
    this.#routes.push({ channel: new Glob(channel), method: new Glob(method), backends });
    this.#reach = undefined;
    return this;
  }

  /** The backend that a call goes to, if there is one. */
  find(channel: string, method: string): Backends | undefined {
    return this.#routes.find((route) => route.channel.test(channel) && route.method.test(method))
      ?.backends;
  }

  /** Present only where some route leads to an authenticator: then every client is authenticated. */
  get authenticate(): Backends["authenticate"] {
    const backends = this.find("", AUTHENTICATE_METHOD);
    return backends?.authenticate?.bind(backends);
  }

  async authorizeSubscribe(
    ...[request, cancellation]: Parameters<NonNullable<Backends["authorizeSubscribe"]>>
  ): Promise<void> {
    const { channel } = request;
    const asked = isPattern(channel)
      ? this.#deciding(channel)
      : [this.find(channel, SUBSCRIBE_METHOD)];
    const asking = [...new Set(asked)].map(
      async (backends) => await backends?.authorizeSubscribe?.(request, cancellation),
    );
    // A backend's answer is no yes: the caller of the router sees it, and refuses.
    return (await Promise.all(asking)).find((answer) => answer !== undefined);
  }

  /** The backends that decide about the channels of a pattern. */
  #deciding(pattern: string): readonly Backends[] {
    if (this.#reach === undefined) {
      const routes = this.#routes.filter(({ method }) => method.test(SUBSCRIBE_METHOD));
      this.#reach = { routes, reach: new Reach(routes.map(({ channel }) => channel)) };
    }
    const { routes, reach } = this.#reach;
    const reached = reach.of(pattern);
    return routes
      .filter((_, index) => reached === undefined || reached.has(index))
      .map(({ backends }) => backends);
  }

  async rpc(...[request, cancellation]: Parameters<NonNullable<Backends["rpc"]>>) {
    const backends = this.find(request.channel, request.method);
    // Where no route leads anywhere the request comes back, as without any backend.
    if (backends?.rpc === undefined) return request.payload;
    return await backends.rpc(request, cancellation);
  }
}
