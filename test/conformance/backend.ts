/**
 * The suite's own backend, run in the process of the server. It behaves as tokens, channels and
 * methods ask it to, so that a client over a real socket can provoke whatever a backend may do.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Engine } from "../../src/engine/engine.ts";
import { ACTIONS, type Grant } from "../../src/engine/ports/access.ts";
import {
  type Backends,
  type Cancellation,
  type RpcRequest,
  SubscriptionConsent,
} from "../../src/engine/ports/backends.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { handlerOf } from "../support/broker-handlers.ts";
import { textOf } from "../support/client.ts";
import { sleep } from "../support/eventually.ts";
import { Trouble } from "./trouble.ts";

/** Stands in every failure; no client may ever see it. */
export const SECRET = "stack of 10.1.2.3";

/** A session's answer to a survey, as the method `survey` tells it. */
export interface ToldAnswer {
  readonly sessionId: string;
  readonly text: string;
  /** Which kind of data the answer had. */
  readonly data: string;
  readonly error: string;
}

export interface ToldSurvey {
  readonly answers: readonly ToldAnswer[];
  readonly silent: readonly string[];
  readonly tookMs: number;
}

/** @param engine of the node that the request came in on */
export function suiteBackend(engine: () => Engine, authentication: boolean): Backends {
  let [hanging, cancelled] = [0, 0];
  const trouble = new Trouble();
  const rpc = async (
    request: RpcRequest,
    cancellation: Cancellation,
  ): Promise<CloudEvent | undefined> => {
    const text = textOf(request.payload);
    switch (request.method) {
      case "empty":
        return undefined;
      case "refuse":
        throw new MessagingError("NO_STOCK", "sold out", {
          type: "shop_error",
          metadata: { left: 0 },
        });
      case "fail":
        throw new Error(SECRET);
      case "garbage":
        return create(CloudEventSchema, {
          attributes: { odd: { attr: { case: "ceInteger", value: 1.5 } } },
        });
      case "slow":
        await sleep(Number(text));
        return request.payload;
      case "hang":
        hanging += 1;
        cancellation.onCancel(() => {
          cancelled += 1;
        });
        return await new Promise(() => {});
      case "hanging":
        return answer(`${hanging}`);
      case "cancelled":
        return answer(`${cancelled}`);
      case "whoami":
        return answer(JSON.stringify({ ...request.caller, metadata: request.metadata }));
      case "survey":
        return answer(JSON.stringify(await survey(engine(), JSON.parse(text))));
      case "disconnect": {
        const { code, reason } = JSON.parse(text);
        await engine().disconnect(request.caller.sessionId, code, reason);
        return undefined;
      }
      case "revoke": {
        const { user, ...options } = JSON.parse(text);
        return answer(JSON.stringify(await engine().revoke(user, options)));
      }
      case "change": {
        const { session, subscribe = [], unsubscribe = [] } = JSON.parse(text);
        const told = {
          ...(await engine().subscribe(session, subscribe)).results,
          ...(await engine().unsubscribe(session, unsubscribe)),
        };
        return answer(JSON.stringify(told));
      }
      case "poison":
        await poison(engine(), text);
        return undefined;
      case "trouble":
        trouble.bring(engine().broker, request.channel, text);
        return undefined;
      case "remove-history":
        await engine().removeHistory(request.channel);
        return undefined;
      case "lose":
        await lose(engine(), request.channel, Number(text));
        return undefined;
      case "lose-presence":
        await losePresence(engine(), request.channel);
        return undefined;
      default:
        return request.payload;
    }
  };
  return {
    ...(authentication ? { authenticate } : {}),
    authorizeSubscribe: async ({ channel, token }) => {
      if (channel.startsWith("slow.")) await sleep(300);
      if (channel.startsWith("broken.")) throw new Error(SECRET);
      if (token === "down") throw new Error(SECRET);
      if (channel.startsWith("denied.") && token !== "open-sesame") {
        throw new MessagingError("ACL_ERROR", "not yours");
      }
      return token.startsWith("own:") ? consentOf(token) : undefined;
    },
    rpc,
  };
}

/** What the server itself says where it has read a subscription's own token, such as `own:7f3a/3000`: id and lifetime. */
function consentOf(token: string): undefined {
  const [tokenId = "", ms] = token.slice("own:".length).split("/");
  const consent = new SubscriptionConsent(Date.now() + Number(ms), {
    tokenId,
    issuedAt: Date.now(),
  });
  return consent as unknown as undefined;
}

const authenticate: NonNullable<Backends["authenticate"]> = async (request) => {
  const [verb = "", argument = ""] = request.token.split(":");
  switch (verb) {
    case "user":
      return { userId: argument };
    case "old":
      // The token does not say when it was issued.
      return { userId: argument, issuedAt: 0 };
    case "id": {
      const [userId = "", tokenId = ""] = argument.split("/");
      return { userId, tokenId };
    }
    case "brief": {
      const [userId = "", ms] = argument.split("/");
      return { userId, expiresAt: Date.now() + Number(ms) };
    }
    case "nobody":
      return { userId: "" };
    case "given":
      return { userId: "ada", channels: argument.split(",") };
    case "granted":
      return { userId: "ada", grants: grantsIn(argument) };
    case "vouched":
      return { userId: "ada", clientVouched: true };
    case "slow":
      await sleep(Number(argument));
      return { userId: "slow" };
    case "hang":
      return await new Promise(() => {});
    case "down":
      throw new Error(SECRET);
    case "mirror":
      return { userId: JSON.stringify({ sessionId: request.sessionId, address: request.address }) };
    default:
      throw new MessagingError("INVALID_CREDENTIALS", "wrong password", { type: "auth_error" });
  }
};

/** Grants as tokens of the suite write them: `a.*=subscribe+publish,b=rpc`. */
function grantsIn(text: string): Grant[] {
  return text.split(",").map((one) => {
    const [pattern = "", actions = ""] = one.split("=");
    return { pattern, actions: ACTIONS.filter((action) => actions.split("+").includes(action)) };
  });
}

async function survey(
  engine: Engine,
  { channel, text, timeoutMs }: { channel: string; text: string; timeoutMs?: number },
): Promise<ToldSurvey> {
  const question = create(CloudEventSchema, { data: { case: "textData", value: text } });
  const began = Date.now();
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  const { answers, silent } = await engine.survey(channel, question, options);
  return {
    answers: answers.map(({ sessionId, payload, error }) => ({
      sessionId,
      text: textOf(payload),
      data: payload?.data.case ?? "",
      error: error?.code ?? "",
    })),
    silent,
    tookMs: Date.now() - began,
  };
}

/** Puts an event into a channel that the door would have refused: JSON knows no year 10000. */
async function poison(engine: Engine, channel: string): Promise<void> {
  const event = create(CloudEventSchema, {
    id: "poison",
    source: "/s",
    specVersion: "1.0",
    type: "t",
    attributes: { time: { attr: { case: "ceTimestamp", value: { seconds: 253_402_300_800n } } } },
  });
  const body = create(EntryBodySchema, { event: toBinary(CloudEventSchema, event) });
  await engine.broker.publish(channel, { key: crypto.randomUUID(), body });
}

/** Has the node miss the next so many entries of a channel: its broker has found them nowhere. */
async function lose(engine: Engine, channel: string, count: number): Promise<void> {
  const { position } = await engine.history(channel, { limit: 0 });
  const until = { ...position, offset: position.offset + count };
  handlerOf(engine.broker).gap(channel, { reason: "unavailable", after: position, until });
}

/** Has the node believe that it missed changes of a channel's members. */
async function losePresence(engine: Engine, channel: string): Promise<void> {
  const { epoch, ...snapshot } = await engine.presenceOf(channel);
  handlerOf(engine.broker).presenceLost(channel, epoch, snapshot);
}

function answer(text: string): CloudEvent {
  return create(CloudEventSchema, {
    id: "answer",
    source: "/backend",
    type: "answer",
    data: { case: "textData", value: text },
  });
}
