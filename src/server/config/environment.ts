/**
 * The variables of the environment that settings may come from, and those that look as if: a name that
 * nothing reads is a mistake, which would otherwise show only in what the server does not do.
 */
import { SERVER_SETTING_PATHS } from "./config.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "MESSAGELOOP_";

/**
 * Settings that differ from one deployment of the same file to the next. A setting's variable is its
 * path in upper case behind MESSAGELOOP, with underscores: broker.redis.password is
 * MESSAGELOOP_BROKER_REDIS_PASSWORD.
 */
const FROM_ENVIRONMENT = [
  "server.http.addr",
  "transport.websocket.addr",
  "transport.grpc.addr",
  "broker.redis.addr",
  "broker.redis.password",
  "broker.redis.node_secret",
] as const;

/** Each variable with its setting, in the order of the help. */
export const VARIABLES: ReadonlyMap<string, string> = new Map(
  FROM_ENVIRONMENT.map((path) => [variableOf(path), path]),
);

/** Variables of commands that are clients; a server may have them in its environment as well. */
const OF_CLIENTS: ReadonlySet<string> = new Set([`${PREFIX}TOKEN`]);

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

/** The variables that look like ours and are not, in the order of their names. Their values are left alone. */
export function unknownVariables(env: Environment): readonly UnknownVariable[] {
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && env[name] !== undefined)
    .filter((name) => !VARIABLES.has(name) && !OF_CLIENTS.has(name) && !OF_KUBERNETES.test(name))
    .toSorted()
    .map((name) => ({ name, nearest: nearestTo(name), setting: OTHER_SETTINGS.get(name) }));
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

function nearestTo(name: string): string {
  const [first = ""] = [...VARIABLES.keys()].toSorted(
    (left, right) => likeness(name, right) - likeness(name, left),
  );
  return first;
}

/** How much of two texts is the longest row of letters that both have in this order, 0 to 1. */
function likeness(one: string, other: string): number {
  // Lengths of that row for the beginnings of both.
  let row = new Array<number>(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let at = 1; at <= other.length; at++) {
      const longer = letter === other[at - 1] ? (row[at - 1] ?? 0) + 1 : 0;
      next.push(Math.max(longer, row[at] ?? 0, next[at - 1] ?? 0));
    }
    row = next;
  }
  return (2 * (row[other.length] ?? 0)) / (one.length + other.length);
}
