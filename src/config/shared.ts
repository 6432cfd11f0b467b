/** What every host makes of its configuration, beside the engine's settings. */
import { type AuthSettings, authSettings } from "../auth/settings.ts";
import type { Host, LogLevel } from "../engine/settings/settings.ts";
import { type StreamSettings, streamSettings } from "../http/streaming/settings.ts";
import type { ProxyConfig } from "../proxy/backend-config.ts";
import { proxyConfig } from "../proxy/settings/settings.ts";
import type { CheckedConfig } from "./schema.ts";

/** Settings of every host that the engine does not have. */
export interface SharedConfig {
  readonly logLevel: LogLevel;
  /** Bytes that may wait for one client. */
  readonly maxQueueBytes: number;
  readonly stream: StreamSettings;
  /** Authentication of clients. */
  readonly auth: AuthSettings;
  /** The application's backends. */
  readonly proxy: ProxyConfig;
}

/**
 * A setting for all hosts is read here.
 *
 * @throws SettingsError for what the tables cannot say of each other
 */
export function sharedConfig(checked: CheckedConfig, host: Host): SharedConfig {
  const { auth, server, limits, transport } = checked;
  return {
    logLevel: server.log_level,
    maxQueueBytes: limits.queue_bytes,
    stream: streamSettings(transport.stream),
    auth: authSettings(auth),
    proxy: proxyConfig(checked, host),
  };
}
