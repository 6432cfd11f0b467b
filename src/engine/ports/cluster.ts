/** The other nodes of one broker, as far as calls about sessions go. */
import type {
  NodeAnswer,
  NodeCall,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";

/** Messages of other nodes that were not obeyed, by reason. */
export interface RefusedMessages {
  /** It is not signed with the secret. */
  readonly unsigned: number;
  /** It is for another node, or another life of this one. */
  readonly misdirected: number;
  /** It has been heard before. */
  readonly replayed: number;
}

/**
 * The other nodes, which have the sessions that this one has not. A node is one life of a process, and
 * the ids of its sessions begin with its name and a dot.
 *
 * Failures are MessagingErrors: UNAVAILABLE where it is not known which nodes there are, or whether the call took
 * effect; what the other node says otherwise.
 */
export interface Cluster {
  /** This node's name. */
  readonly node: string;
  /** What was not obeyed so far. A cluster whose messages no other can send leaves it out. */
  readonly refused?: RefusedMessages;
  /** Gives what answers the calls of others. It rejects with what the caller is to get. */
  start(answer: (call: NodeCall) => Promise<NodeAnswer["answer"]>): void;
  /** The names of those that may have subscribers of a channel now, by its name or by a pattern. All of them may do. */
  others(channel: string): Promise<readonly string[]>;
  /** Resolves with the answer, or undefined where there is no such node. */
  call(node: string, call: NodeCall, timeoutMs: number): Promise<NodeAnswer["answer"] | undefined>;
}
