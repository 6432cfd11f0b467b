/** The list `proxy`: the application's backends, how each is reached, and which calls it answers. */
import * as v from "valibot";
import { recordOf } from "../../channels/maps.ts";
import { LIFECYCLE_KINDS } from "../../engine/ports/lifecycle.ts";
import {
  distinct,
  durationsFrom,
  key,
  oneOf,
  only,
  secretText,
  switches,
  table,
  textElsewhere,
  together,
  unset,
  type Wrong,
  wholeNumbers,
} from "../../engine/settings/settings.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import { isNetwork } from "../addresses.ts";
import { type BackendKind, CONNECT_ENCODINGS, PAYLOADS } from "../backend-config.ts";
import { Glob } from "../glob.ts";
import { MAX_SIGNING_SECRETS, MIN_SIGNING_SECRET_BYTES } from "../signing/signer.ts";
import { grpcUrl, urlProblem } from "./endpoint.ts";

const MAX_NAME_BYTES = 64;
/** Bytes of one value of a header. */
const MAX_HEADER_BYTES = 8_192;
const TIMEOUT = "30s";
const RESPONSE_BYTES = 1_048_576;

const NOT_A_NAME = `must be a name of at most ${MAX_NAME_BYTES} bytes`;
const NOT_A_HEADER = "must be the name of a header";
const NOT_A_VALUE = `must be a text of printable ASCII characters, at most ${MAX_HEADER_BYTES}`;
const NOT_A_NETWORK = "must be an address or a network such as 169.254.10.0/24";
const NOT_A_BINDING = "must be the name of a service binding";
const NOT_AN_ENDPOINT = "must be a URL, or host:port of gRPC";
const NOT_A_SERVER_NAME = "must be the name of a host";
const NOT_SECRETS = `must be a list of at most ${MAX_SIGNING_SECRETS} texts`;
const NOT_A_SECRET = `must be a text of at least ${MIN_SIGNING_SECRET_BYTES} bytes that nobody can guess`;

export const backendNames = v.pipe(
  v.string(NOT_A_NAME),
  v.regex(/^[^\p{Cc}]+$/u, NOT_A_NAME),
  v.check((name) => utf8Length(name) <= MAX_NAME_BYTES, NOT_A_NAME),
);

/** Headers that the connection, or how an answer is read, depends on. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers that let a caller in. */
const CREDENTIALS = /^(?:proxy-)?authorization$|^cookie$|api-?key|secret|token|password/i;

/** Headers that an operator has sent with each request; those of credentials are secrets. */
export const headers = v.optional(
  v.pipe(
    v.record(
      v.pipe(
        v.string(NOT_A_HEADER),
        v.regex(/^[\w!#$%&'*+.^`|~-]+$/, NOT_A_HEADER),
        v.toLowerCase(),
        v.check((name) => !OWN_HEADERS.has(name), "is a header that cannot be set"),
      ),
      textElsewhere(
        v.pipe(
          v.string(NOT_A_VALUE),
          v.regex(/^[\t\x20-\x7e]*$/, NOT_A_VALUE),
          v.maxLength(MAX_HEADER_BYTES, NOT_A_VALUE),
        ),
        CREDENTIALS,
      ),
      "must be a table of texts",
    ),
    v.description("none"),
  ),
);

const globs = v.pipe(
  v.string("must be a pattern such as chat.*"),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      new Glob(dataset.value);
    } catch (error) {
      // It says which pattern, and so does the path.
      const { message } = MessagingError.from(error);
      addIssue({ message: message.replace(`the pattern ${dataset.value} `, "is a pattern that ") });
    }
  }),
);

const signingSecrets = v.optional(
  v.pipe(
    v.array(
      secretText(
        v.pipe(
          v.string(NOT_A_SECRET),
          v.check((secret) => utf8Length(secret) >= MIN_SIGNING_SECRET_BYTES, NOT_A_SECRET),
        ),
      ),
      NOT_SECRETS,
    ),
    v.maxLength(MAX_SIGNING_SECRETS, NOT_SECRETS),
  ),
  [],
);

const routes = v.optional(
  v.array(
    table({ channel: v.optional(globs, ""), method: v.optional(globs, "") }),
    "must be a list of tables",
  ),
  [],
);

/** What every host has. */
const COMMON = {
  name: key(backendNames, "its place in the list"),
  endpoint: unset(v.pipe(v.string(NOT_AN_ENDPOINT), v.nonEmpty(NOT_AN_ENDPOINT))),
  timeout: v.optional(durationsFrom(1), TIMEOUT),
  allow_plaintext: v.optional(switches, false),
  allowed_addresses: v.optional(
    v.array(v.pipe(v.string(NOT_A_NETWORK), v.check(isNetwork, NOT_A_NETWORK)), NOT_A_NETWORK),
    [],
  ),
  signing_secrets: signingSecrets,
  response_bytes: v.optional(wholeNumbers(1_024, 16_777_216), RESPONSE_BYTES),
  concurrency: v.optional(wholeNumbers(1, 10_000), 256),
  queue: v.optional(wholeNumbers(0, 100_000), 1_024),
  circuit_breaker: v.optional(
    table({
      failures: v.optional(wholeNumbers(1, 1_000), 20),
      pause: v.optional(durationsFrom(1), "5s"),
    }),
    {},
  ),
  routes,
};

const tls = only(
  "server",
  v.optional(
    table({
      server_name: unset(
        v.pipe(v.string(NOT_A_SERVER_NAME), v.regex(/^[\w.-]+$/, NOT_A_SERVER_NAME)),
      ),
      insecure_skip_verify: v.optional(switches, false),
    }),
    {},
  ),
  "Workers check every certificate themselves",
);

const payload = v.optional(oneOf(PAYLOADS), "json");
const encoding = v.optional(oneOf(CONNECT_ENCODINGS), "proto");

/** A section that says how a backend is spoken to. */
function way<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.optional(table({ ...entries, headers, tls }));
}

const backend = table({
  ...COMMON,
  binding: only(
    "worker",
    unset(v.pipe(v.string(NOT_A_BINDING), v.regex(/^[A-Za-z_$][\w$]*$/, NOT_A_BINDING))),
    "there are no service bindings here",
  ),
  http: v.optional(
    v.pipe(
      table({ payload, batch_events: v.optional(switches, false), headers, tls }),
      v.forward(
        v.check(
          ({ batch_events, payload }) => !batch_events || payload === "cloudevents",
          "needs the payload cloudevents: there are batches of CloudEvents alone",
        ),
        ["batch_events"],
      ),
    ),
  ),
  connect: way({ encoding }),
  grpc: only(
    "server",
    way({ insecure: v.optional(switches, false) }),
    "Workers have no gRPC: use connect",
  ),
});

/** A backend as it is written. */
export type WrittenBackend = v.InferOutput<typeof backend>;

/** `proxy`: a list of tables. */
export const proxyEntries = v.optional(
  v.pipe(
    v.array(v.pipe(backend, together(contradictions)), "must be a list of tables"),
    distinct("name", "proxy", nameOf),
  ),
  [],
);

/** What a backend is called, which is its place where it has no name. */
export function nameOf({ name }: WrittenBackend, place: number): string {
  return name ?? `proxy.${place}`;
}

/** The section of a backend that says how it is spoken to, as in the original: gRPC first, and last by its URL. */
export function kindOf(
  written: Pick<WrittenBackend, "binding" | "connect" | "endpoint" | "grpc" | "http">,
): BackendKind {
  if (written.grpc !== undefined) return "grpc";
  if (written.connect !== undefined) return "connect";
  const isUrl = /^https?:\/\//i.test(written.endpoint ?? "");
  return written.http !== undefined || written.binding !== undefined || isUrl ? "http" : "grpc";
}

/** The address of what is called; of a service binding only the path means something. */
export function urlOf(written: WrittenBackend): string {
  const { endpoint = "https://backend/", grpc } = written;
  return kindOf(written) === "grpc" ? grpcUrl(endpoint, grpc?.insecure === true) : endpoint;
}

/** Keys of one backend that do not go with its other keys, and why. */
function contradictions(written: WrittenBackend): Wrong<WrittenBackend>[] {
  const { binding, endpoint, grpc, http, connect } = written;
  const found: Wrong<WrittenBackend>[] = [];
  const kind = kindOf(written);
  if (grpc !== undefined && connect !== undefined) found.push(["connect", besides("grpc")]);
  if (http !== undefined && kind !== "http") found.push(["http", besides(kind)]);
  if (kind === "grpc" && written.signing_secrets.length > 0) {
    found.push(["signing_secrets", "cannot be had with grpc, whose requests are not signed"]);
  }
  if (endpoint === undefined) {
    if (binding === undefined) found.push(["endpoint", "is missing"]);
    return found;
  }
  const problem = urlProblem(urlOf(written), {
    kind,
    bound: binding !== undefined,
    allowPlaintext: written.allow_plaintext || grpc?.insecure === true,
    allowedAddresses: written.allowed_addresses,
  });
  if (problem !== undefined) found.push(["endpoint", problem]);
  return found;
}

function besides(kind: string): string {
  return `does nothing beside ${kind}: a backend is spoken to in one way`;
}

/** What stands beside the settings of a server: by itself it depends on whether there are backends. */
export const rpcEntries = {
  rpc_echo: key(switches, "true without proxy, false with it"),
};

/** Hooks that name a backend: the two that decide, and those that report what has happened. */
const NAMING = ["authenticate", "subscribe", ...LIFECYCLE_KINDS] as const;

const hooks = table({
  compatibility: unset(v.picklist(["v0.1.1"], 'must be "v0.1.1"')),
  ...recordOf(NAMING, () => unset(backendNames)),
});

/** `hooks`: which backend decides what is no RPC, and to which one events are reported. Undefined where nothing is said of it. */
export const hookEntries = v.optional(
  v.pipe(
    hooks,
    together((written: v.InferOutput<typeof hooks>) => {
      if (written.compatibility === undefined) return [];
      const message = "does nothing with compatibility: routes decide, as in v0.1.1";
      return NAMING.filter((hook) => written[hook] !== undefined).map((hook) => [hook, message]);
    }),
  ),
);

/** The tables that belong together. */
export interface WrittenHooks {
  readonly proxy: readonly WrittenBackend[];
  readonly hooks?: v.InferOutput<typeof hooks> | undefined;
}

/** Checks that hooks are of backends that there are. It stands around the table that has both. */
export function hooksHaveBackends<Config extends WrittenHooks>() {
  return together<Config>(({ proxy, hooks = {} }) => {
    const names = new Set<string | undefined>([undefined, ...proxy.map(nameOf)]);
    const found = NAMING.filter((hook) => !names.has(hooks[hook])).map(
      (hook): Wrong<WrittenHooks> => [`hooks.${hook}`, "is no name of a backend"],
    );
    if (hooks.compatibility === undefined || proxy.length > 0) return found;
    return [...found, ["hooks.compatibility", "does nothing without proxy"]];
  });
}
