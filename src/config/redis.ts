/**
 * The settings of the broker "redis": those that the original documents, and ours. What the original's
 * connections need and ours do not is accepted, so that its files remain valid, and reported at the start.
 */
import * as v from "valibot";
import {
  durations,
  durationsFrom,
  secretText,
  switches,
  table,
  together,
  unset,
  wholeNumbers,
} from "../engine/settings/settings.ts";

/** Where Redis is and what of it is ours. */
export type RedisConfig = Readonly<ReturnType<typeof redisConfig>>;

const NOT_HOSTS = 'must be host:port, of a cluster several such as "a:6379,b:6379"';
const NOT_URLS = 'must be a URL such as "redis://localhost:6379/0" or "rediss://host:6380"';
/** Shorter ones could be guessed from a single message. */
const MIN_SECRET_LENGTH = 16;
const NOT_A_SECRET = `must be a text of at least ${MIN_SECRET_LENGTH} characters`;
const hosts = v.pipe(
  v.string(NOT_HOSTS),
  v.transform((text) => text.split(",").map((part) => part.trim())),
  v.check((parts) => parts.every((part) => /^[^\s/:@]*:\d{1,5}$/.test(part)), NOT_HOSTS),
);
const urls = v.pipe(
  v.string(NOT_URLS),
  v.transform((text) => text.split(",").map((part) => part.trim())),
  v.check((parts) => parts.every(isUrl), NOT_URLS),
);

/** Of the original; ours has one connection for commands and one to listen, and no consumers. */
const IDLE = [
  "pool_size",
  "min_idle_conns",
  "max_retries",
  "read_timeout",
  "write_timeout",
  "stream_approximate",
  "consumer_group",
] as const;

export const redisTable = table({
  addr: v.optional(v.pipe(hosts, v.description("localhost:6379"))),
  // It may hold a password.
  url: unset(secretText(urls, "redis://localhost")),
  username: unset(v.string("must be a text")),
  password: unset(secretText(v.string("must be a text"))),
  db: unset(wholeNumbers(0)),
  cluster: v.optional(switches, false),
  tls: unset(switches),
  tls_ca: unset(
    v.pipe(v.string("must be the path of a file"), v.nonEmpty("must be the path of a file")),
  ),
  key_prefix: v.optional(
    v.pipe(
      v.string("must be a text without braces"),
      v.regex(/^[^{}]+$/, "must be a text without braces"),
    ),
    "messageloop:",
  ),
  durable: v.optional(switches, false),
  allow_eviction: v.optional(switches, false),
  node_secret: unset(
    secretText(v.pipe(v.string(NOT_A_SECRET), v.minLength(MIN_SECRET_LENGTH, NOT_A_SECRET))),
  ),
  dial_timeout: v.optional(durationsFrom(1), "5s"),
  stream_max_length: unset(wholeNumbers(1, 1_000_000)),
  history_ttl: unset(durationsFrom(1_000)),
  pool_size: unset(wholeNumbers(1)),
  min_idle_conns: unset(wholeNumbers(0)),
  max_retries: unset(wholeNumbers(0)),
  read_timeout: unset(durations),
  write_timeout: unset(durations),
  stream_approximate: unset(switches),
  consumer_group: unset(v.pipe(v.string("must be a name"), v.nonEmpty("must be a name"))),
});
type Written = v.InferOutput<typeof redisTable>;

/** The table of the broker, with what does not go together. */
export const redis = v.optional(v.pipe(redisTable, together(contradictions)));

function contradictions(written: Written): [keyof Written, string][] {
  const { url, cluster, db, tls_ca } = written;
  const found: [keyof Written, string][] = [];
  if (url !== undefined) {
    for (const key of ["addr", "db", "tls"] as const) {
      if (written[key] !== undefined) found.push([key, "stands in url: use one of them"]);
    }
  }
  const several = (written.addr ?? url ?? []).length > 1;
  if (several && !cluster) {
    found.push([url === undefined ? "addr" : "url", "names several servers: needs cluster: true"]);
  }
  if (cluster && (db ?? 0) > 0) found.push(["db", "must be 0 with cluster: true"]);
  const secure = written.tls === true || url?.[0]?.startsWith("rediss:");
  if (tls_ca !== undefined && !secure) found.push(["tls_ca", "does nothing without TLS"]);
  return found;
}

/** What the settings come to. */
export function redisConfig(written: Written | undefined) {
  const settings = written ?? v.parse(redisTable, {});
  const { addr = ["localhost:6379"], db = 0, tls = false } = settings;
  const scheme = tls ? "rediss" : "redis";
  return {
    /** `redis://host:port/db`, or `rediss://` for TLS; of a cluster some of its servers. */
    urls: settings.url ?? addr.map((host) => `${scheme}://${withHost(host)}/${db}`),
    cluster: settings.cluster,
    /** Empty for the default user, or the one of the URL. */
    username: settings.username ?? "",
    password: settings.password ?? "",
    /** Path of a PEM file with the authorities that sign the server's certificate; undefined for those of Node. */
    ca: settings.tls_ca,
    connectTimeoutMs: settings.dial_timeout,
    /** Stands before every name in Redis. */
    prefix: settings.key_prefix,
    /** The operator vouches that Redis comes back with all that it has acknowledged. */
    durable: settings.durable,
    /** Redis may forget keys when its memory is full, and the operator accepts it. */
    allowEviction: settings.allow_eviction,
    /** What processes sign with what they say to each other; undefined for processes that do not. */
    nodeSecret: settings.node_secret,
    /** Names of settings that were given and have no effect. */
    idle: IDLE.filter((name) => settings[name] !== undefined),
  };
}

function withHost(address: string): string {
  return address.startsWith(":") ? `localhost${address}` : address;
}

function isUrl(text: string): boolean {
  return /^rediss?:\/\/[^/]+/.test(text) && URL.canParse(text);
}
