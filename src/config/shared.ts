/** What every host makes of its configuration, beside the engine's settings. */
import { authSettings } from "../auth/settings.ts";
import type { Host } from "../engine/settings/settings.ts";
import { streamSettings } from "../http/streaming/settings.ts";
import { proxyConfig } from "../proxy/settings/settings.ts";
import type { CheckedConfig } from "./schema.ts";
import { tracingTerms } from "./tracing.ts";

/** Settings of every host that the engine does not have. */
export type SharedConfig = Readonly<ReturnType<typeof sharedConfig>>;

/**
 * A setting for all hosts is read here.
 *
 * @throws SettingsError for what the tables cannot say of each other
 */
export function sharedConfig(checked: CheckedConfig, host: Host) {
  const { auth, server, limits, transport, tracing } = checked;
  return {
    logLevel: server.log_level,
    /** Bytes that may wait for one client. */
    maxQueueBytes: limits.queue_bytes,
    stream: streamSettings(transport.stream),
    /** Authentication of clients. */
    auth: authSettings(auth),
    /** The application's backends. */
    proxy: proxyConfig(checked, host),
    /** Where spans go; undefined where nothing is traced. */
    tracing: tracingTerms(tracing),
  };
}
