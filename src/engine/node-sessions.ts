/** What a node does to its own sessions, whether its own server's side asks for it or another node. */
import { create } from "@bufbuild/protobuf";
import { DISCONNECTS, disconnectFor } from "../protocol/codes.ts";
import { TransientSchema } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { TransientBatch } from "../protocol/transient-frames.ts";
import type {
  ChannelResults,
  HandedOver,
  LocalSessions,
  SessionMessage,
  SubscribeOutcome,
} from "./cluster-calls.ts";
import type { Node } from "./node.ts";
import type { Identity } from "./ports/identity.ts";
import { type Revocation, revokes } from "./ports/revocations.ts";
import type { Session } from "./session/session.ts";
import type { SendCall } from "./session/stream/sends.ts";
import { hand } from "./subscription/listener.ts";

/** A session, as hosts and programs have it. What else there is of one is for its own node. */
export type ClientSession = Pick<
  Session,
  | "channels"
  | "clientId"
  | "close"
  | "connected"
  | "encoding"
  | "end"
  | "ended"
  | "expiry"
  | "id"
  | "marks"
  | "receive"
  | "receiveMessage"
  | "record"
  | "saveMarks"
  | "userId"
  | "write"
>;

export class NodeSessions implements LocalSessions {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  present(sessionIds: readonly string[]): readonly string[] {
    return sessionIds.filter((id) => this.#node.sessions.has(id));
  }

  revoke(revocations: readonly Revocation[], entering?: ReadonlySet<string>): void {
    const byUser = Map.groupBy(revocations, ({ userId }) => userId);
    const now = this.#node.steadyNow();
    for (const session of [...this.#node.sessions.values()]) {
      const { identity, subscriptionEnds } = session.client;
      const its = byUser.get(identity.userId);
      if (its === undefined || entering?.has(session.id)) continue;
      const revoked = (token: Identity) => its.some((one) => revokes(one, token));
      const { userId } = identity;
      if (revoked(identity)) session.close(DISCONNECTS.invalidToken);
      else if (subscriptionEnds?.revoke((token) => revoked({ ...token, userId }))) {
        session.expire(now);
      }
    }
  }

  disconnect(sessionId: string, code: number, reason: string | undefined): boolean {
    const session = this.#node.sessions.get(sessionId);
    session?.close({ code, reason: reason ?? disconnectFor(code)?.reason ?? "" });
    return session !== undefined;
  }

  async subscribe(sessionId: string, channels: readonly string[]): Promise<SubscribeOutcome> {
    const session = this.#node.sessions.get(sessionId);
    const errors = (await session?.addChannels(channels)) ?? [];
    const has = new Set(session?.channels ?? []);
    const results = Object.fromEntries(channels.map((channel) => [channel, has.has(channel)]));
    return { results, errors: Object.fromEntries(errors) };
  }

  async unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const session = this.#node.sessions.get(sessionId);
    const there = session?.connected === true;
    if (there) await session.removeChannels(channels);
    return Object.fromEntries(channels.map((channel) => [channel, there]));
  }

  send(call: SendCall): number | undefined {
    return this.#node.sessions.get(call.sessionId)?.send(call);
  }

  publish(sessionIds: readonly string[], { id, body }: SessionMessage): HandedOver {
    const { clock, hub, sessions, stamp } = this.#node;
    const message = { id, time: BigInt(clock.now()), ...(body === undefined ? {} : { body }) };
    const batch = new TransientBatch("", [create(TransientSchema, message)], stamp);
    const reached: string[] = [];
    const connecting: string[] = [];
    for (const sessionId of sessionIds) {
      const session = sessions.get(sessionId);
      if (session?.connected) {
        hub.tally.delivered += hand(session, batch);
        reached.push(sessionId);
      } else if (session !== undefined) connecting.push(sessionId);
    }
    return { reached, connecting };
  }
}
