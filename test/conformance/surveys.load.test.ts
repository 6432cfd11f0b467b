/**
 * A survey of many members over several gateways, beside a bare fan-out and collection of the same members: a
 * message to all of them, and a ping of each that is answered. Both are measured in turn, so that a neighbour on the
 * machine slows both.
 */
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import {
  InboundMessageSchema,
  type OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { Client, type Inbound, valueAs } from "../support/client.ts";
import type { RunningServer } from "./host.ts";
import { workerHost } from "./hosts/worker.ts";

const MEMBERS = 1_000;
const GATEWAYS = 4;
/** Connections that are being made at once. */
const CONNECTING = 20;
const ROUNDS = 5;
/** Rounds at most, where neighbours leave none of the first ones alone. */
const MOST_ROUNDS = 15;
/** The longest time that a member takes to answer, in milliseconds. */
const SLOWEST_MS = 200;
const CHANNEL = "poll.many";

const codec = codecFor("proto");
const members: Member[] = [];
const sockets: WebSocket[] = [];
let server: RunningServer;
let asker: Client;

beforeAll(async () => {
  server = await workerHost.start({
    settings: {
      limits: { survey_audience: MEMBERS, surveys_per_minute: 1_000 },
      channels: [{ pattern: "poll.**", survey: true }],
    },
  });
  for (let start = 0; start < MEMBERS; start += CONNECTING) {
    const some = Array.from({ length: CONNECTING }, (_, i) => joined(start + i));
    members.push(...(await Promise.all(some)));
  }
  asker = new Client(await opened(0), { encoding: "proto", extended: true });
  const connect = { subscriptions: [{ channel: CHANNEL }], capabilities: ["survey"] };
  valueAs(await asker.connect(connect), "connected");
});

afterAll(async () => {
  for (const socket of sockets) socket.terminate();
  await server.stop();
});

/** A member that answers a message with a ping, and a question after a while. */
class Member {
  /** When its pong came; undefined until then. */
  ponged: number | undefined;
  /** How long it took to answer the last question, in milliseconds. */
  tookMs = 0;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (bytes: Uint8Array) => this.#take(codec.decodeOutbound(bytes)));
  }

  send(message: Inbound): void {
    this.#socket.send(codec.encodeInbound(create(InboundMessageSchema, message)));
  }

  #take({ envelope }: OutboundMessage): void {
    if (envelope.case === "publication") this.send({ envelope: { case: "ping", value: {} } });
    else if (envelope.case === "pong") this.ponged = performance.now();
    else if (envelope.case === "surveyRequest") this.#answer(envelope.value.requestId);
  }

  #answer(requestId: string): void {
    const asked = performance.now();
    const payload = {
      id: "a",
      source: "/c",
      type: "t",
      data: { case: "textData", value: "yes" },
    } as const;
    setTimeout(() => {
      this.tookMs = performance.now() - asked;
      this.send({ envelope: { case: "surveyResponse", value: { requestId, payload } } });
    }, Math.random() * SLOWEST_MS);
  }
}

async function opened(index: number): Promise<WebSocket> {
  const socket = new WebSocket(server.node?.(index % GATEWAYS) ?? "", codec.subprotocol, {
    perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  sockets.push(socket);
  return socket;
}

/** A member that is subscribed, which may take some tries where the machine is busy. */
async function joined(index: number, tries = 5): Promise<Member> {
  const socket = await opened(index);
  const first = new Promise<Uint8Array>((resolve) => socket.once("message", resolve));
  const member = new Member(socket);
  const value = { capabilities: ["test"], subscriptions: [{ channel: CHANNEL }] };
  member.send({ envelope: { case: "connect", value } });
  const { subscriptions } = valueAs(codec.decodeOutbound(await first), "connected");
  const codes = subscriptions.map(({ error }) => error?.code ?? "");
  if (codes[0] === "UNAVAILABLE" && tries > 1) {
    socket.close(1000);
    return await joined(index, tries - 1);
  }
  expect(codes).toEqual([""]);
  return member;
}

/** How long a message to all members takes until each has a pong for the ping that it sent for it. */
async function bare(): Promise<number> {
  for (const member of members) member.ponged = undefined;
  const began = performance.now();
  await asker.publish(CHANNEL, "to everyone");
  await expect
    .poll(() => members.filter(({ ponged }) => ponged !== undefined).length, {
      timeout: 60_000,
      interval: 5,
    })
    .toBe(MEMBERS);
  return Math.max(...members.map(({ ponged }) => ponged ?? 0)) - began;
}

interface Survey {
  readonly tookMs: number;
  /** The slowest member's answer. */
  readonly slowestMs: number;
}

async function survey(round: number): Promise<Survey> {
  const id = `survey ${round}`;
  const began = performance.now();
  const value = { requestId: "mine", othersOnly: true, timeoutMs: 60_000 };
  asker.send({ id, channel: CHANNEL, envelope: { case: "surveyRequest", value } });
  const parts = await asker.until(() => {
    const all = asker.replies.filter((reply) => reply.id === id);
    const last = all.at(-1)?.envelope;
    if (last?.case === "error") throw new Error(last.value.message);
    return last?.case === "surveyResult" && !last.value.more ? all : undefined;
  }, 90_000);
  const tookMs = performance.now() - began;
  const results = parts.map((part) => valueAs(part, "surveyResult"));
  const answers = results.flatMap((part) => part.answers);
  // It has ended by its answers and not by its timeout.
  expect(results.flatMap(({ silent, unreached }) => [...silent, ...unreached])).toEqual([]);
  expect(new Set(answers.map(({ sessionId }) => sessionId)).size).toBe(MEMBERS);
  expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  const gateways = new Set(answers.map(({ sessionId }) => sessionId.split(".", 1)[0]));
  expect(gateways.size).toBe(GATEWAYS);
  return { tookMs, slowestMs: Math.max(...members.map((member) => member.tookMs)) };
}

test(`a survey of ${MEMBERS} members over ${GATEWAYS} gateways ends within 3 times its slowest answer and a bare fan-out and collection`, async () => {
  const times: (Survey & { readonly bareMs: number })[] = [];
  // A neighbour only ever makes them longer, so that the least of each is what the work takes.
  const least = (kind: "tookMs" | "slowestMs" | "bareMs"): number =>
    Math.min(...times.map((time) => time[kind]));
  const most = (): number => 3 * least("slowestMs") + least("bareMs");
  // The first round is not counted: code is compiled then.
  for (
    let round = 0;
    round <= ROUNDS || (least("tookMs") > most() && round <= MOST_ROUNDS);
    round++
  ) {
    const bareMs = await bare();
    const surveyed = await survey(round);
    if (round > 0) times.push({ bareMs, ...surveyed });
  }
  const shown = times.map(({ tookMs, slowestMs, bareMs }) =>
    [tookMs, slowestMs, bareMs].map((ms) => ms.toFixed(0)).join("/"),
  );
  console.info(`survey/slowest/bare in ms: ${shown.join(" ")}`);
  expect(least("tookMs")).toBeLessThanOrEqual(most());
});
