/**
 * Settings as a Worker has them: the configuration that its build has bundled, the table `messageloop` among its
 * variables above that, and its secrets.
 */
import { made } from "../channels/maps.ts";
import { layered, replaced } from "../config/layers.ts";
import { configSchema } from "../config/schema.ts";
import { type SharedConfig, sharedConfig } from "../config/shared.ts";
import { type Origin, settingsInForce } from "../engine/settings/in-force.ts";
import { readSettings } from "../engine/settings/secrets.ts";
import { SettingsError, toSettings } from "../engine/settings/settings.ts";
import { isTable } from "../engine/settings/table.ts";
import { bindingOf } from "./backends/binding.ts";

/** The settings of every host, and what only gateways have. */
export type WorkerSettings = Readonly<ReturnType<typeof readFrom>>;

/** The table of settings among the variables of a Worker. */
const TABLE = "messageloop";
/** Secrets that stand above all else where they are there, as variables do on the other host. */
export const API_KEYS = "MESSAGELOOP_API_KEYS";
export const TICKET_KEYS = "MESSAGELOOP_API_TICKET_KEYS";
const ABOVE: readonly (readonly [name: string, path: readonly string[]])[] = [
  [API_KEYS, ["api", "keys"]],
  [TICKET_KEYS, ["api", "ticket_keys"]],
  ["MESSAGELOOP_AUTH_JWT_HMAC_SECRET", ["auth", "jwt", "hmac_secret"]],
  ["MESSAGELOOP_AUTH_JWT_PUBLIC_KEY", ["auth", "jwt", "public_key"]],
];

/** An isolate sees one environment; the objects in it need not check the same table again. */
let known = new WeakMap<object, WorkerSettings>();
/** What the build has bundled. The objects of a Worker are in one bundle with what calls `configure`. */
let bundled: unknown;

/**
 * Takes the configuration of this Worker, as the parsed file has it. It is checked with the first request.
 *
 * @throws Error where another one has been taken before: a bundle has one
 */
export function configure(config: unknown): void {
  if (bundled !== undefined && bundled !== config) {
    throw new Error("this Worker has its configuration already: createWorker takes one");
  }
  bundled = config;
  known = new WeakMap();
}

/** @throws SettingsError naming the path of each setting that is wrong, and nothing of a secret */
export function settingsOf(env: object): WorkerSettings {
  return made(known, env, () => readFrom(env));
}

function readFrom(env: object) {
  const bindings = env as Readonly<Record<string, unknown>>;
  let written = layered(bundled, bindings[TABLE]);
  for (const [name, path] of ABOVE) {
    if (bindings[name] !== undefined) written = replaced(written, path, { secret: name });
  }
  const secrets = { named: (name: string) => bindings[name] };
  const checked = readSettings(configSchema, written, "worker", secrets);
  return {
    ...toSettings(checked),
    ...withBindings(sharedConfig(checked, "worker"), env),
    maxUnheardBytes: checked.limits.unheard_bytes,
    maxSockets: checked.limits.sockets_per_gateway,
    maxUpgradesPerSecond: checked.limits.upgrades_per_second,
    /** The keys of the server API; it is closed where there are none. */
    apiKeys: checked.api.keys,
    metrics: checked.api.metrics,
    /** What tickets are signed with, the first of them; none are made without any. */
    ticketKeys: checked.api.ticket_keys,
    /** Each setting with its value and where it comes from, without secrets. Read when it is asked for. */
    inForce: () => settingsInForce(configSchema, written, "worker", originIn(bindings)),
    /** Beside the Worker's own host. */
    allowedOrigins: checked.transport.websocket.allowed_origins,
    /** Names of the Worker; without any every name is its own. */
    allowedHosts: checked.transport.websocket.allowed_hosts,
  };
}

/** What stands in the table among the variables is above what the build has bundled. */
function originIn(bindings: Readonly<Record<string, unknown>>): (path: string) => Origin {
  return (path) => {
    let value = bindings[TABLE];
    for (const key of path.split(".")) value = isTable(value) ? value[key] : undefined;
    return value === undefined
      ? { source: "file", origin: "" }
      : { source: "environment", origin: TABLE };
  };
}

/** @throws SettingsError where a backend is to be reached by a service binding that the Worker does not have */
function withBindings(config: SharedConfig, env: object): SharedConfig {
  const problems = config.proxy.backends.flatMap(({ binding }, place) =>
    binding === undefined || bindingOf(env, binding) !== undefined
      ? []
      : [{ path: `proxy.${place}.binding`, message: "is no service binding of this Worker" }],
  );
  if (problems.length > 0) throw new SettingsError(problems);
  return config;
}

/** Whether channels are listed: where no key can ask for it, it would cost for nothing. */
export function listsChannels({ apiKeys }: WorkerSettings): boolean {
  return apiKeys.length > 0;
}

/** Whether gateways report what they count: that wakes the counters of their region, so it has to be asked for. */
export function reportsFigures({ apiKeys, metrics }: WorkerSettings): boolean {
  return apiKeys.length > 0 && metrics;
}

/** Whether users are found: where no key can ask for it, and connections are not counted, it would cost likewise. */
export function keepsDirectory({ apiKeys, maxUserConnections }: WorkerSettings): boolean {
  return apiKeys.length > 0 || maxUserConnections > 0;
}
