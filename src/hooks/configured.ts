/** Which lifecycle events go to which backend, as a configuration says. */
import type { Backends } from "../engine/ports/backends.ts";
import {
  LIFECYCLE_KINDS,
  type LifecycleEvent,
  type LifecycleKind,
} from "../engine/ports/lifecycle.ts";
import type { BackendConfig, ProxyConfig } from "../proxy/backend-config.ts";
import { Glob } from "../proxy/glob.ts";
import { AUTHENTICATE_METHOD, createRouter, SUBSCRIBE_METHOD } from "../proxy/router.ts";
import type { HookTargets } from "./hooks.ts";
import type { Teller } from "./tellers.ts";

/** The methods under which v0.1.1 looks the other two up. */
const UNSUBSCRIBE_METHOD = "unsubscribe";
const DISCONNECT_METHOD = "disconnect";

/** Which backend an event is for. */
interface Directions {
  /** The kinds that some backend may take. */
  readonly kinds: ReadonlySet<LifecycleKind>;
  /** The name of the backend; undefined where no backend takes it. */
  of(event: Pick<LifecycleEvent, "channel" | "kind">): string | undefined;
  /** Whether a backend of this name may take any event. */
  has(name: string): boolean;
}

/**
 * The targets of a configuration.
 *
 * @param teller makes the sender to one backend; it is asked for those backends alone that take some event
 * @param among kinds that the caller can report
 */
export function configuredHooks(
  { backends, hooks }: Pick<ProxyConfig, "backends" | "hooks">,
  teller: (backend: BackendConfig) => Teller,
  among: readonly LifecycleKind[] = LIFECYCLE_KINDS,
): HookTargets {
  const directions = hooks.byRoutes ? byRoutes(backends) : byNames(hooks.events);
  const kinds = new Set(among.filter((kind) => directions.kinds.has(kind)));
  if (kinds.size === 0) return { kinds, backends: [] };
  return {
    kinds,
    backends: backends
      .filter(({ name }) => directions.has(name))
      .map((backend) => ({
        name: backend.name,
        takes: (event) => directions.of(event) === backend.name,
        ...teller(backend),
      })),
  };
}

function byNames(names: ProxyConfig["hooks"]["events"]): Directions {
  const told = new Set<string | undefined>(Object.values(names));
  return {
    kinds: new Set(LIFECYCLE_KINDS.filter((kind) => names[kind] !== undefined)),
    of: ({ kind }) => names[kind],
    has: (name) => told.has(name),
  };
}

/** As in v0.1.1, where hooks are looked up among the routes. */
function byRoutes(backends: readonly BackendConfig[]): Directions {
  const router = createRouter();
  const names = new Map<Backends | undefined, string>();
  for (const { name, routes } of backends) {
    const place: Backends = {};
    names.set(place, name);
    for (const route of routes) router.add(route, place);
  }
  const methods: Readonly<Partial<Record<LifecycleKind, string>>> = {
    connected: AUTHENTICATE_METHOD,
    subscribed: SUBSCRIBE_METHOD,
    unsubscribed: UNSUBSCRIBE_METHOD,
    disconnected: DISCONNECT_METHOD,
  };
  const kindsOf = ({ routes }: BackendConfig): readonly LifecycleKind[] =>
    LIFECYCLE_KINDS.filter((kind) => {
      // v0.1.1 reports nothing of channels.
      const told = methods[kind];
      if (told === undefined) return false;
      return routes.some(
        ({ channel, method }) =>
          new Glob(method).test(told) && (hasChannel(kind) || new Glob(channel).test("")),
      );
    });
  const told = new Map(backends.map((backend) => [backend.name, kindsOf(backend)]));
  return {
    kinds: new Set([...told.values()].flat()),
    of: ({ channel, kind }) => {
      const method = methods[kind];
      return method && names.get(router.find(channel, method));
    },
    has: (name) => (told.get(name) ?? []).length > 0,
  };
}

function hasChannel(kind: LifecycleKind): boolean {
  return kind === "subscribed" || kind === "unsubscribed";
}
