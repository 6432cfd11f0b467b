/** What is revoked, as a gateway has it: the objects of users remember it, and report it to the gateways that have to know. */
import type { Identity } from "../../engine/ports/identity.ts";
import {
  type EndRevoked,
  type Revocation,
  type Revocations,
  revokes,
} from "../../engine/ports/revocations.ts";
import { encodeRevocation, encodeUserChange, userChangeAnswer } from "../calls/directory-calls.ts";
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

/** A caller without a gateway speaks for no sessions, and hears what is revoked. */
const NO_CHANGE = encodeUserChange({
  gateway: "",
  sequence: 0,
  joined: [],
  left: [],
  complete: false,
  connecting: new Set(),
  limit: 0,
});

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

  async lookUp(identity: Identity): Promise<boolean> {
    const { calls, platform, trouble } = this.#host;
    const answer = await retrying(
      () => calls.user(identity.userId).update(NO_CHANGE),
      toDirectory(platform, trouble),
    );
    return userChangeAnswer(answer).revocations.some((one) => revokes(one, identity));
  }

  /** The object of a user has said what is revoked. */
  heard(revocations: readonly Revocation[], entering: ReadonlySet<string>): void {
    this.#end?.(revocations, entering);
  }
}
