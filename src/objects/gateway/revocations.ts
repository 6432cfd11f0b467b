/** What is revoked, as a gateway has it: the objects of users remember it, and report it to the gateways that have to know. */
import type { EndRevoked, Revocation, Revocations } from "../../engine/ports/revocations.ts";
import { encodeRevocation } from "../calls/directory-calls.ts";
import { retrying, toDirectory } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Trouble } from "../trouble.ts";

export interface ObjectRevocationsHost {
  readonly calls: Pick<ObjectCalls, "user">;
  readonly platform: ObjectPlatform;
  /** Of calls to the directory. */
  readonly trouble: Trouble;
  /** Whether what objects keep outlives every process. Default true. */
  readonly durable?: boolean;
}

export class ObjectRevocations implements Revocations {
  readonly durable: boolean;
  readonly #host: ObjectRevocationsHost;
  #end: EndRevoked | undefined;

  constructor(host: ObjectRevocationsHost) {
    this.#host = host;
    this.durable = host.durable ?? true;
  }

  start(end: EndRevoked): void {
    this.#end = end;
  }

  async revoke(revocation: Revocation): Promise<void> {
    const { calls, platform, trouble } = this.#host;
    const request = encodeRevocation(revocation);
    await retrying(
      () => calls.user(revocation.userId).revoke(request),
      toDirectory(platform, trouble),
    );
  }

  /** Nothing is known here: a session that joins gets it. */
  revoked(): boolean {
    return false;
  }

  /** The object of a user has said what is revoked. */
  heard(revocations: readonly Revocation[], entering: ReadonlySet<string>): void {
    this.#end?.(revocations, entering);
  }
}
