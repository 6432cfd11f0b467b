/** Settings as a Worker gets them: the table `messageloop` among its variables. */
import * as v from "valibot";
import {
  BURST_WITHOUT_RATE,
  burstHasRate,
  checkSettings,
  type LogLevel,
  limitsEntries,
  logLevels,
  type SettingPath,
  type Settings,
  serverEntries,
  settingPaths,
  settingsEntries,
  table,
  toSettings,
  wholeNumbers,
} from "../engine/settings/settings.ts";
import { allowedHosts, allowedOrigins } from "../http/origins.ts";
import { MAX_SOCKETS, MAX_UNHEARD_BYTES, MAX_UPGRADES_PER_SECOND } from "../protocol/limits.ts";

/** The settings of every host, and what only gateways have. */
export interface WorkerSettings extends Settings {
  readonly maxUnheardBytes: number;
  readonly maxSockets: number;
  readonly maxUpgradesPerSecond: number;
  readonly logLevel: LogLevel;
  /** Beside the Worker's own host. */
  readonly allowedOrigins: readonly string[];
  /** Names of the Worker; without any every name is its own. */
  readonly allowedHosts: readonly string[];
}

const schema = v.optional(
  table({
    ...settingsEntries,
    server: v.optional(table({ ...serverEntries, log_level: v.optional(logLevels, "info") }), {}),
    limits: v.optional(
      v.pipe(
        table({
          ...limitsEntries,
          unheard_bytes: v.optional(wholeNumbers(65_536), MAX_UNHEARD_BYTES),
          sockets_per_gateway: v.optional(wholeNumbers(1, 32_000), MAX_SOCKETS),
          upgrades_per_second: v.optional(wholeNumbers(1), MAX_UPGRADES_PER_SECOND),
        }),
        v.forward(
          v.check((limits) => burstHasRate(limits), BURST_WITHOUT_RATE),
          ["publish_burst"],
        ),
      ),
      {},
    ),
    transport: v.optional(
      table({
        websocket: v.optional(
          table({
            allowed_origins: v.optional(allowedOrigins, []),
            allowed_hosts: v.optional(allowedHosts, []),
          }),
          {},
        ),
      }),
      {},
    ),
  }),
  {},
);

/** Every setting of this host with its default. */
export const WORKER_SETTING_PATHS: readonly SettingPath[] = settingPaths(schema);

/** An isolate sees one environment; the objects in it need not check the same table again. */
const known = new WeakMap<object, WorkerSettings>();

/** @throws SettingsError naming the path of each setting that is wrong. */
export function settingsOf(env: object): WorkerSettings {
  let settings = known.get(env);
  if (settings === undefined) {
    const checked = checkSettings(schema, (env as { readonly messageloop?: unknown }).messageloop);
    settings = {
      ...toSettings(checked),
      maxUnheardBytes: checked.limits.unheard_bytes,
      maxSockets: checked.limits.sockets_per_gateway,
      maxUpgradesPerSecond: checked.limits.upgrades_per_second,
      logLevel: checked.server.log_level,
      allowedOrigins: checked.transport.websocket.allowed_origins,
      allowedHosts: checked.transport.websocket.allowed_hosts,
    };
    known.set(env, settings);
  }
  return settings;
}
