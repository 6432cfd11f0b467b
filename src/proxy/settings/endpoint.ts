/** Where a backend is, as an operator writes it. */
import { AddressGuard, isAddress, isLoopback } from "../addresses.ts";
import type { BackendKind } from "../backend-config.ts";

/** The scheme of Go's resolver, which endpoints of gRPC may begin with. */
const RESOLVER = /^(?:dns|passthrough):\/\/\//;

/**
 * The URL that an endpoint of gRPC stands for. `host:port` is one, as in the original.
 *
 * @param plaintext whether the connection is without TLS
 */
export function grpcUrl(endpoint: string, plaintext: boolean): string {
  if (/^https?:\/\//i.test(endpoint)) return endpoint;
  return `${plaintext ? "http" : "https"}://${endpoint.replace(RESOLVER, "")}`;
}

/** What is asked of a URL. */
export interface UrlTerms {
  readonly kind: BackendKind;
  /** Whether it may be `http:` to another machine. */
  readonly allowPlaintext: boolean;
  /** Whether a service binding is called, so that nothing is connected to. */
  readonly bound: boolean;
  readonly allowedAddresses: readonly string[];
}

/** Why a URL cannot be one of a backend; undefined where it can. Nothing of it is quoted: it may hold a secret. */
export function urlProblem(text: string, terms: UrlTerms): string | undefined {
  const { kind, bound, allowPlaintext, allowedAddresses } = terms;
  const what = kind === "grpc" ? "host:port" : "a URL such as https://backend.example/hooks";
  if (!URL.canParse(text)) return `must be ${what}`;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return `must be ${what}`;
  if (url.username !== "" || url.password !== "") {
    return "must not hold a user or a password: use a header";
  }
  if (url.hash !== "") return "must not have a fragment";
  if (kind !== "http" && url.search !== "") return "must not have a query";
  if (kind === "grpc" && url.pathname !== "/") return "must not have a path";
  if (bound) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (url.protocol === "http:" && !allowPlaintext && !isOwnHost(host)) {
    return kind === "grpc"
      ? "must be with TLS: leave http:// out, or set grpc.insecure"
      : "must be https to another machine; allow_plaintext allows http";
  }
  if (!isAddress(host)) return undefined;
  const problem = new AddressGuard(allowedAddresses).problem(host);
  return problem === undefined ? undefined : `is ${problem}, which allowed_addresses does not name`;
}

function isOwnHost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || isLoopback(host);
}
