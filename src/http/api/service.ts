/**
 * The calls of the server API, in every protocol: which caller may make one, what it does, and what becomes
 * of its failures.
 */
import {
  type DescMessage,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { errorText } from "../../engine/error-text.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { APIService } from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_TICKET_TTL_MS } from "../../protocol/limits.ts";
import type { KeyPeer, Keys, Principal } from "../keys/keys.ts";
import { toConnectError } from "../statuses.ts";
import type { Tickets } from "../tickets/tickets.ts";
import { CallCounts, type CallStats } from "./call-counts.ts";
import type { ApiCall } from "./context.ts";
import { explain } from "./explain.ts";
import { nodes } from "./nodes.ts";
import { publish } from "./publish.ts";
import { channels, history, presence, removeHistory } from "./reads.ts";
import { revoke } from "./revoke.ts";
import { disconnect, subscribe, survey, unsubscribe } from "./sessions.ts";
import { type SettingsHost, settings } from "./settings.ts";
import { type StatusHost, sessions, status } from "./status.ts";
import { trace } from "./trace.ts";

export interface ApiServiceOptions {
  readonly keys: Keys;
  /** Makes the tickets of CreateTicket. */
  readonly tickets: Tickets;
  readonly logger: Logger;
  /** What Status, Nodes and Settings answer of the host. */
  readonly host: StatusHost & SettingsHost;
}

/** One of the calls. Its types are those of its descriptor. */
export interface ApiMethod {
  readonly desc: DescMethodUnary;
  readonly answer: (call: ApiCall, request: never) => Promise<Record<string, unknown>>;
}

/** Calls that need the right manage: each is in the log. */
const CHANGING: ReadonlySet<string> = new Set([
  "Disconnect",
  "Subscribe",
  "Unsubscribe",
  "RemoveHistory",
  "Revoke",
]);
/** Characters of what was asked that reach the log. */
const MAX_AUDITED = 1_000;

/**
 * The calls of the server API by their descriptors: admission by key, the call itself, and how its failures are answered
 * and counted. A host and a protocol add only the way of bytes.
 *
 * @example
 * const service = new ApiService({ keys, tickets, logger, host: { name: "server", now: Date.now } });
 * connectNodeAdapter({ routes: apiRoutes({ service, engine: () => engine }) });
 */
export class ApiService {
  readonly methods: readonly ApiMethod[];
  readonly #counts: CallCounts;
  readonly #keys: Keys;
  readonly #logger: Logger;

  constructor({ keys, tickets, logger, host }: ApiServiceOptions) {
    this.#keys = keys;
    this.#logger = logger;
    const { method } = APIService;
    this.methods = [
      of(method.publish, publish),
      of(method.disconnect, disconnect),
      of(method.subscribe, subscribe),
      of(method.unsubscribe, unsubscribe),
      of(method.survey, survey),
      of(method.history, history),
      of(method.removeHistory, removeHistory),
      of(method.presence, presence),
      of(method.channels, channels),
      of(method.revoke, revoke),
      of(method.status, async (call) => await status(call, host)),
      of(method.sessions, sessions),
      of(method.nodes, (call) => nodes(call, host)),
      of(method.settings, async (call) => settings(call, host)),
      of(method.explain, async (call, request) => explain(call, request)),
      of(method.trace, (call, request) => trace(call, request, { now: host.now, logger })),
      of(method.createTicket, async ({ principal }, { userId, channels: names, ttlMs }) => {
        for (const name of names) principal.check("read", name);
        const { ticket, expiresAt } = await tickets.mint({
          user: userId,
          channels: names,
          ttlMs: ttlMs === 0 ? MAX_TICKET_TTL_MS : ttlMs,
        });
        return { ticket, expires: BigInt(expiresAt) };
      }),
    ];
    this.#counts = new CallCounts(this.methods.map(({ desc }) => desc.name));
  }

  /** How calls have ended so far. */
  get calls(): CallStats {
    return this.#counts.stats();
  }

  /**
   * Whichever way a call came: it has ended, and is counted.
   *
   * @param error what its caller gets; undefined where it was done
   */
  ended({ desc }: Pick<ApiMethod, "desc">, error?: ConnectError): void {
    this.#counts.count(desc.name, error);
  }

  /** Looks at the key, before anything else of a request is read. @throws ConnectError */
  async admit(
    { desc }: Pick<ApiMethod, "desc">,
    authorization: string | null | undefined,
    peer: KeyPeer,
  ): Promise<Principal> {
    try {
      return await this.#keys.authorize(authorization, peer);
    } catch (error) {
      const { code } = MessagingError.from(error);
      const { address } = peer;
      this.#logger.debug?.("API call refused", { method: desc.name, code, address });
      throw toConnectError(error);
    }
  }

  /** Does what is asked. Resolves with what the answer is made of. @throws ConnectError */
  async answer(
    method: ApiMethod,
    call: ApiCall,
    request: unknown,
  ): Promise<Record<string, unknown>> {
    try {
      const answer = await method.answer(call, request as never);
      this.#audit(method, call, request, "ok");
      return answer;
    } catch (error) {
      const told = this.told(method, error);
      this.#audit(method, call, request, codeToString(told.code));
      throw told;
    }
  }

  /** Records a managing call: its key, its method and its outcome. Items that were refused by themselves are in the answer. */
  #audit({ desc }: ApiMethod, { principal }: ApiCall, request: unknown, outcome: string): void {
    if (!CHANGING.has(desc.name)) return;
    const asked = JSON.stringify(
      toJson(desc.input, request as Message, { useProtoFieldName: true }),
    );
    const fields = {
      method: desc.name,
      key: principal.id,
      asked: asked.slice(0, MAX_AUDITED),
      outcome,
    };
    const logger = this.#logger;
    if (logger.audit === undefined) logger.info?.("changed by the server API", fields);
    else logger.audit("changed by the server API", fields);
  }

  /** What a caller gets of a failure. One that was not foreseen is for the log. */
  told({ desc }: Pick<ApiMethod, "desc">, error: unknown): ConnectError {
    if (!(error instanceof MessagingError || error instanceof ConnectError)) {
      this.#logger.warn("an API call failed", { method: desc.name, error: errorText(error) });
    }
    return toConnectError(error);
  }
}

function of<I extends DescMessage, O extends DescMessage>(
  desc: DescMethodUnary<I, O>,
  answer: (call: ApiCall, request: MessageShape<I>) => Promise<MessageInitShape<O>>,
): ApiMethod {
  return { desc, answer: answer as unknown as ApiMethod["answer"] };
}
