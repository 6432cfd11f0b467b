/**
 * The gateways as a cluster of nodes: what one of them asks another about a session that it has not. The
 * session's id names its gateway, so it need not be known where sessions are; nor are all gateways known anywhere.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Cluster } from "../../engine/ports/cluster.ts";
import { errorMessage, MessagingError, unavailable } from "../../protocol/errors.ts";
import {
  type NodeAnswer,
  NodeAnswerSchema,
  type NodeCall,
  NodeCallSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { encode } from "../calls/encode.ts";
import { askGateway } from "../calls/gateway-calls.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { Trouble } from "../trouble.ts";

export interface GatewayClusterHost {
  /** This gateway; empty for a caller that is none. */
  readonly gateway: string;
  readonly calls: Pick<ObjectCalls, "gateway">;
  readonly platform: ObjectPlatform;
  /** Whether a gateway may have this name. It comes out of session ids, which any client may make up. */
  isGateway(name: string): boolean;
}

export class GatewayCluster implements Cluster {
  readonly node: string;
  readonly #host: GatewayClusterHost;
  readonly #listening: (channel: string) => Promise<readonly string[]>;
  readonly #trouble: Trouble;
  #answer: ((call: NodeCall) => Promise<NodeAnswer["answer"]>) | undefined;

  /** @param listening asks a channel which gateways hear it */
  constructor(
    host: GatewayClusterHost,
    listening: (channel: string) => Promise<readonly string[]>,
  ) {
    this.node = host.gateway;
    this.#host = host;
    this.#listening = listening;
    this.#trouble = new Trouble("calls to gateways", host.platform);
  }

  start(answer: (call: NodeCall) => Promise<NodeAnswer["answer"]>): void {
    this.#answer = answer;
  }

  /** Those that the channel knows: all gateways are known nowhere. */
  async others(channel: string): Promise<readonly string[]> {
    return (await this.#listening(channel)).filter((name) => name !== this.node);
  }

  /** Asks once: whether a call that failed was carried out is not known, and not every call may be repeated. */
  async call(
    node: string,
    call: NodeCall,
    timeoutMs: number,
  ): Promise<NodeAnswer["answer"] | undefined> {
    const { calls, isGateway, platform } = this.#host;
    // A stub is an object, which would be there for ever.
    if (!isGateway(node)) return undefined;
    const request = toBinary(NodeCallSchema, call);
    try {
      const answer = await askGateway(calls.gateway(node), request, platform, timeoutMs);
      this.#trouble.worked();
      return answer;
    } catch (error) {
      this.#trouble.failed(error);
      throw unavailable("the session's gateway does not answer", error);
    }
  }

  /** What another gateway asks. Takes a NodeCall, answers a NodeAnswer. */
  async answer(request: Uint8Array): Promise<Uint8Array> {
    try {
      if (this.#answer === undefined) throw unavailable("the gateway has not started");
      return encoded(await this.#answer(fromBinary(NodeCallSchema, request)));
    } catch (error) {
      const told = MessagingError.from(error);
      if (told !== error) {
        const { logger } = this.#host.platform;
        logger.warn("a call of another gateway failed", { error: String(error) });
      }
      return encoded({ case: "error", value: errorMessage(told) });
    }
  }
}

function encoded(answer: NodeAnswer["answer"]): Uint8Array {
  return encode(NodeAnswerSchema, { answer });
}
