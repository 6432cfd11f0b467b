/**
 * The variables of the environment that settings may come from, and those that look as if: a name that
 * nothing reads is a mistake, which would otherwise show only in what the server does not do.
 */
import { SERVER_SETTING_PATHS } from "../../config/schema.ts";
import { nearest } from "./nearest.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "MESSAGELOOP_";

/**
 * Settings that differ from one deployment of the same file to the next. A setting's variable is its
 * path in upper case after MESSAGELOOP, with underscores: broker.redis.password is
 * MESSAGELOOP_BROKER_REDIS_PASSWORD.
 */
const FROM_ENVIRONMENT = [
  "server.http.addr",
  "transport.websocket.addr",
  "transport.grpc.addr",
  "api.keys",
  "api.ticket_keys",
  "auth.jwt.hmac_secret",
  "auth.jwt.public_key",
  "broker.type",
  "broker.redis.addr",
  "broker.redis.password",
  "broker.redis.node_secret",
] as const;

/** Each variable with its setting, in the order of the help. */
export const VARIABLES: ReadonlyMap<string, string> = new Map(
  FROM_ENVIRONMENT.map((path) => [variableOf(path), path]),
);

/** Names the file, where no option does. */
export const CONFIG_VARIABLE = `${PREFIX}CONFIG`;

/** Variables that are no settings: those of commands that are clients may be in a server's environment as well. */
const OTHERS: ReadonlySet<string> = new Set([
  CONFIG_VARIABLE,
  `${PREFIX}TOKEN`,
  `${PREFIX}API_KEY`,
]);

/**
 * What Kubernetes puts into the environment of every pod of a namespace for a service called messageloop,
 * or messageloop-redis: MESSAGELOOP_PORT, MESSAGELOOP_PORT_9080_TCP_ADDR, MESSAGELOOP_SERVICE_HOST,
 * MESSAGELOOP_REDIS_SERVICE_PORT_CLIENT and so on.
 */
const OF_KUBERNETES =
  /^MESSAGELOOP_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** A variable that nothing reads. */
export interface UnknownVariable {
  readonly name: string;
  /** The variable whose name is most like it. */
  readonly nearest: string;
  /** The setting that it would be for, if it were read. */
  readonly setting: string | undefined;
}

/**
 * The variables that look like ours and are not, in the order of their names. Their values are left alone.
 *
 * @param secrets names that the configuration itself gives to secrets
 */
export function unknownVariables(
  env: Environment,
  secrets: ReadonlySet<string> = new Set(),
): readonly UnknownVariable[] {
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && env[name] !== undefined)
    .filter((name) => !VARIABLES.has(name) && !OTHERS.has(name) && !secrets.has(name))
    .filter((name) => !OF_KUBERNETES.test(name))
    .toSorted()
    .map((name) => ({
      name,
      nearest: nearest(name, VARIABLES.keys())?.name ?? "",
      setting: OTHER_SETTINGS.get(name),
    }));
}

/** What is wrong with a variable, as a sentence for people. */
export function sentenceOf({ name, nearest, setting }: UnknownVariable): string {
  return setting === undefined
    ? `${name}: is no variable that is read; the nearest one is ${nearest}`
    : `${name}: is not read; ${setting} is set in the file`;
}

/** Settings that have no variable, by the name that it would have. */
const OTHER_SETTINGS: ReadonlyMap<string, string> = new Map(
  SERVER_SETTING_PATHS.map(([path]): [string, string] => [variableOf(path), path]).filter(
    // `address` is the other name of `addr`, which has a variable.
    ([name, path]) => !VARIABLES.has(name) && !path.endsWith(".address"),
  ),
);

function variableOf(path: string): string {
  return `${PREFIX}${path.toUpperCase().replaceAll(".", "_")}`;
}
