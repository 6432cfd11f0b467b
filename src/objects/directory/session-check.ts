/** Which of the sessions that a user's object knows of have ended: gateways that are reset report it late. */
import { encodePresentCall } from "../calls/directory-calls.ts";
import { askGateway } from "../calls/gateway-calls.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { UserSessionRow } from "../ports/user-store.ts";
import { Trouble } from "../trouble.ts";

/** How long a gateway may take to say which sessions it has, in milliseconds. */
const ANSWER_MS = 1_500;
/** A client that comes again and again although the user has enough sessions is not worth more questions than one in this time. */
const EVERY_MS = 2_000;

export interface SessionCheckHost {
  readonly calls: Pick<ObjectCalls, "gateway">;
  readonly platform: ObjectPlatform;
}

export class SessionCheck {
  readonly #host: SessionCheckHost;
  readonly #trouble: Trouble;
  /** When gateways were last asked, Unix milliseconds. */
  #askedAt = 0;

  constructor(host: SessionCheckHost) {
    this.#host = host;
    this.#trouble = new Trouble("questions of a user's object", host.platform);
  }

  /**
   * Resolves with the ids of those that their gateways do not know. Of a gateway that does not answer there are none,
   * and none at all where gateways were asked a moment ago.
   */
  async gone(rows: readonly UserSessionRow[]): Promise<readonly string[]> {
    const now = this.#host.platform.clock.now();
    if (Math.abs(now - this.#askedAt) < EVERY_MS) return [];
    this.#askedAt = now;
    const byGateway = Map.groupBy(rows, ({ gateway }) => gateway);
    const asked = [...byGateway].map(([gateway, its]) =>
      this.#goneAt(
        gateway,
        its.map(({ sessionId }) => sessionId),
      ),
    );
    return (await Promise.all(asked)).flat();
  }

  async #goneAt(gateway: string, ids: readonly string[]): Promise<readonly string[]> {
    const { calls, platform } = this.#host;
    try {
      const request = encodePresentCall(ids);
      const answer = await askGateway(calls.gateway(gateway), request, platform, ANSWER_MS);
      this.#trouble.worked();
      // A gateway of an older version does not know the question.
      if (answer.case !== "present") return [];
      const there = new Set(answer.value.sessionIds);
      return ids.filter((id) => !there.has(id));
    } catch (error) {
      this.#trouble.failed(error);
      return [];
    }
  }
}
