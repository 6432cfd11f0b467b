/**
 * What a valid configuration comes to on a host, for its operator: how clients are authenticated by it, and
 * what outlives a process.
 */
import { LACK_OF_AUTHENTICATOR } from "../auth/settings.ts";

/** What a configuration says of authentication. */
export interface IdentityFacts {
  /** Whether a client must show a token. */
  readonly required: boolean;
  /** Whether there is a key by which tokens are read. */
  readonly tokens: boolean;
  /** The backend that authenticates, or `routes` where these decide; undefined for none. */
  readonly authenticator: { readonly name: string } | "routes" | undefined;
}

/** What remembers what has happened: the memory of a process, Redis, or the objects of a Worker. */
export type Keeper = "memory" | "redis" | "objects";

/** What else is needed of a configuration. */
export interface DeploymentFacts extends IdentityFacts {
  readonly keeper: Keeper;
  /** Whether users are found, so that their tokens can be revoked. */
  readonly findsUsers: boolean;
  /** Whether lifecycle events are reported to a backend. */
  readonly tellsEvents: boolean;
}

/** What holds, as sentences. */
export function meaningOf(facts: DeploymentFacts): readonly string[] {
  const { authenticator, keeper, tellsEvents, tokens } = facts;
  const known = tokens || authenticator !== undefined;
  return [
    whoClientsAre(facts),
    ...(known ? [revocation(facts)] : []),
    ...(tellsEvents ? [EVENTS[keeper]] : []),
  ];
}

/**
 * What refuses every client, or would, as a sentence that begins with a path; undefined where it is in order. A
 * program or a Worker of one's own may have an authenticator, so it is no mistake.
 */
export function lockout({ required, tokens, authenticator, keeper }: DeploymentFacts) {
  if (!required || tokens || authenticator !== undefined) return undefined;
  const outcome =
    keeper === "objects"
      ? "gateways of the Worker answer every connection with 500 without"
      : "serve does not start without";
  return `auth.required: ${LACK_OF_AUTHENTICATOR}; ${outcome}`;
}

const EVENTS: Readonly<Record<Keeper, string>> = {
  memory:
    "Lifecycle events wait in memory: what has not arrived when the process is killed is lost.",
  redis: "Lifecycle events wait in Redis, and arrive at least once.",
  objects: "Lifecycle events wait in the database of their object, and arrive at least once.",
};

function whoClientsAre({ required, tokens, authenticator }: IdentityFacts): string {
  const backend =
    authenticator === "routes" ? "the backend of the routes" : `the backend ${authenticator?.name}`;
  if (authenticator === undefined) {
    if (!tokens) {
      return required
        ? "No client is let in: nobody says who it is."
        : "Every client is anonymous: nobody says who it is, and no token is asked for.";
    }
    return required
      ? "A client has to show a token that is good by auth.jwt."
      : "A client that shows a token has to show one that is good by auth.jwt; one without is anonymous.";
  }
  if (!tokens) {
    return required
      ? `A client has to show a token, and ${backend} says who it is.`
      : `Of every client, with a token or without, ${backend} says who it is.`;
  }
  return required
    ? `A client has to show a token that is good by auth.jwt, and ${backend} may refuse it.`
    : `A token has to be good by auth.jwt where a client shows one, and ${backend} is asked about every client.`;
}

function revocation({ keeper, findsUsers }: DeploymentFacts): string {
  switch (keeper) {
    case "memory":
      return "What is revoked is forgotten when the process ends.";
    case "redis":
      return "What is revoked is kept in Redis until its time.";
    case "objects":
      return findsUsers
        ? "What is revoked is kept by the objects of users until its time."
        : "No token can be revoked: users are found where api.keys has a key, or limits.connections_per_user is set.";
  }
}
