/**
 * What the nodes of one Redis say to each other: calls about sessions that another node has, and their
 * answers. Every message is signed with a secret that the nodes share and Redis does not know: a program that can
 * publish in Redis cannot make a node do anything, nor have it do again what it has done before.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { background } from "../../engine/background.ts";
import type { Cluster, RefusedMessages } from "../../engine/ports/cluster.ts";
import { joined } from "../../protocol/bytes.ts";
import { errorMessage, MessagingError, unavailable } from "../../protocol/errors.ts";
import {
  type NodeAnswer,
  type NodeAnswerPiece,
  NodeAnswerPieceSchema,
  NodeAnswerSchema,
  type NodeCall,
  type NodeMessage,
  NodeMessageSchema,
  SignedNodeMessageSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { patiently, type RetryContext } from "./outage/retry.ts";
import type { RedisCommands } from "./ports.ts";

/** Bytes of an answer in one message: many messages, and not one that Redis would cut a reader off for. */
const PIECE_BYTES = 256 * 1024;
/** What a message may be older, or younger, than the time of the node that hears it, in milliseconds. */
const MAX_AGE_MS = 10 * 60_000;
/** Bytes of an answer at most. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Signs messages, and knows its own signatures, by a secret that all nodes share. */
export interface NodeSigner {
  sign(message: Uint8Array): Uint8Array;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

export interface NodeCallsHost extends RetryContext {
  readonly commands: RedisCommands;
  /** Undefined where the nodes share no secret: then they do not call each other. */
  readonly signer: NodeSigner | undefined;
  readonly node: string;
  topicOf(node: string): string;
  /** The time that all nodes share, Unix milliseconds. */
  now(): number;
  /** @throws MessagingError UNAVAILABLE */
  others(): Promise<readonly string[]>;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class NodeCalls implements Cluster {
  readonly node: string;
  readonly #host: NodeCallsHost;
  readonly #refused = { unsigned: 0, misdirected: 0, replayed: 0 };
  readonly #open = new Map<bigint, OpenCall>();
  /**
   * The last sequence of every node that was heard lately, those that were silent for longest first. What such a
   * node, or one that is gone, has said before that is too old by itself.
   */
  readonly #heard = new Map<string, { readonly sequence: bigint; readonly at: number }>();
  #answer: ((call: NodeCall) => Promise<NodeAnswer["answer"]>) | undefined;
  #sequence = 0n;
  #calls = 0n;

  constructor(host: NodeCallsHost) {
    this.#host = host;
    this.node = host.node;
  }

  /** Where this node hears what others say to it. */
  get topic(): string {
    return this.#host.topicOf(this.node);
  }

  get refused(): RefusedMessages {
    return this.#refused;
  }

  /** Nodes whose last sequence is known. */
  get known(): number {
    return this.#heard.size;
  }

  start(answer: (call: NodeCall) => Promise<NodeAnswer["answer"]>): void {
    this.#answer = answer;
  }

  async others(): Promise<readonly string[]> {
    return await this.#host.others();
  }

  async call(
    node: string,
    call: NodeCall,
    timeoutMs: number,
  ): Promise<NodeAnswer["answer"] | undefined> {
    if (!(await this.#host.others()).includes(node)) return undefined;
    this.#calls += 1n;
    const id = this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<NodeAnswer["answer"]>();
    const late = () => reject(unavailable("the session's node does not answer in time"));
    const cancel = this.#host.timers.after(timeoutMs, late);
    this.#open.set(id, { node, pieces: [], bytes: 0, resolve, reject });
    // Whatever comes first: the answer, or that the question could not be sent.
    this.#send(node, id, { case: "asked", value: call }).catch(reject);
    try {
      return await promise;
    } finally {
      cancel();
      this.#open.delete(id);
    }
  }

  /** Takes what somebody has published to this node. */
  take(payload: Uint8Array): void {
    const message = this.#read(payload);
    if (message === undefined) return;
    const { sender, call, body } = message;
    if (body.case === "asked") {
      const served = this.#serve(sender, call, body.value);
      background(served, this.#host.troubles.logger, "answering another node");
    } else if (body.case === "answered") this.#piece(sender, call, body.value);
  }

  /** Nobody is waited for any more. */
  end(): void {
    for (const { reject } of this.#open.values()) reject(unavailable("the server stops"));
  }

  /** The message, if it is one of ours that is new. */
  #read(payload: Uint8Array): NodeMessage | undefined {
    const message = this.#signed(payload);
    if (message === undefined) {
      this.#refused.unsigned += 1;
      return undefined;
    }
    if (message.receiver !== this.node) {
      this.#refused.misdirected += 1;
      return undefined;
    }
    const now = this.#host.now();
    const old = Math.abs(now - Number(message.timeMs)) > MAX_AGE_MS;
    if (old || message.sequence <= (this.#heard.get(message.sender)?.sequence ?? 0n)) {
      this.#refused.replayed += 1;
      return undefined;
    }
    this.#heard.delete(message.sender);
    this.#heard.set(message.sender, { sequence: message.sequence, at: now });
    this.#forget(now);
    return message;
  }

  /** All that a node has said before its last message has grown too old when that has been forgotten. */
  #forget(now: number): void {
    for (const [node, { at }] of this.#heard) {
      if (Math.abs(now - at) <= 2 * MAX_AGE_MS) return;
      this.#heard.delete(node);
    }
  }

  #signed(payload: Uint8Array): NodeMessage | undefined {
    try {
      const { message, signature } = fromBinary(SignedNodeMessageSchema, payload);
      if (!this.#host.signer?.verify(message, signature)) return undefined;
      return fromBinary(NodeMessageSchema, message);
    } catch {
      return undefined;
    }
  }

  async #serve(sender: string, call: bigint, asked: NodeCall): Promise<void> {
    try {
      const bytes = await this.#answerTo(asked);
      const count = Math.ceil(bytes.length / PIECE_BYTES);
      for (let index = 0; index < count; index++) {
        const piece = bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
        const value = create(NodeAnswerPieceSchema, { index, last: index === count - 1, piece });
        await this.#send(sender, call, { case: "answered", value });
      }
    } catch (error) {
      this.#host.warn("the answer to another node was lost", { error: String(error) });
    }
  }

  /** The bytes of the answer, which are never none. */
  async #answerTo(asked: NodeCall): Promise<Uint8Array> {
    try {
      if (this.#answer === undefined) throw unavailable("the server has not started");
      const bytes = encoded(await this.#answer(asked));
      if (bytes.length <= MAX_ANSWER_BYTES) return bytes;
      throw new Error(`an answer of ${bytes.length} bytes is too large`);
    } catch (error) {
      const told = MessagingError.from(error);
      if (told !== error)
        this.#host.warn("a call of another node failed", { error: String(error) });
      return encoded({ case: "error", value: errorMessage(told) });
    }
  }

  #piece(sender: string, id: bigint, { index, last, piece }: NodeAnswerPiece): void {
    const open = this.#open.get(id);
    // Nobody waits for it any more, or a piece before this one was lost.
    if (open === undefined || open.node !== sender || open.pieces.length !== index) return;
    open.bytes += piece.length;
    open.pieces.push(piece);
    if (open.bytes > MAX_ANSWER_BYTES) open.reject(unavailable("an answer has no end"));
    else if (last) {
      try {
        open.resolve(fromBinary(NodeAnswerSchema, joined(open.pieces)).answer);
      } catch (error) {
        open.reject(unavailable("an answer cannot be read", error));
      }
    }
  }

  async #send(node: string, call: bigint, body: NodeMessage["body"]): Promise<void> {
    const { commands, signer } = this.#host;
    if (signer === undefined) throw unavailable("the nodes share no secret");
    const topic = this.#host.topicOf(node);
    this.#sequence += 1n;
    const sequence = this.#sequence;
    const envelope = { sender: this.node, receiver: node, sequence, call, body };
    const timeMs = BigInt(Math.max(this.#host.now(), 0));
    const message = toBinary(NodeMessageSchema, create(NodeMessageSchema, { ...envelope, timeMs }));
    const signed = create(SignedNodeMessageSchema, { message, signature: signer.sign(message) });
    const payload = toBinary(SignedNodeMessageSchema, signed);
    // Sent twice it is still heard once.
    await patiently(this.#host, () => commands.command(topic, ["PUBLISH", topic, payload]));
  }
}

interface OpenCall {
  readonly node: string;
  readonly pieces: Uint8Array[];
  bytes: number;
  resolve(answer: NodeAnswer["answer"]): void;
  reject(error: unknown): void;
}

function encoded(answer: NodeAnswer["answer"]): Uint8Array {
  return toBinary(NodeAnswerSchema, create(NodeAnswerSchema, { answer }));
}
