/** Nodes of the Redis broker, each with connections of its own, and what they were told. */
import { create } from "@bufbuild/protobuf";
import { RedisBroker } from "../../src/brokers/redis/broker.ts";
import type { RedisLifecycleTerms } from "../../src/brokers/redis/lifecycle/outbox.ts";
import type { RedisCommands } from "../../src/brokers/redis/ports.ts";
import type { MemberSession, Snapshot } from "../../src/channels/presence.ts";
import { type ChannelRules, DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import type { LogGap } from "../../src/engine/ports/broker.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { clock, shortId, timers } from "../../src/server/platform.ts";
import { openCommands } from "../../src/server/redis/commands.ts";
import type { RedisAddress } from "../../src/server/redis/connections.ts";
import { HmacSigner } from "../../src/server/redis/signer.ts";
import { NodeRedisSubscriptions } from "../../src/server/redis/subscriptions.ts";

export interface NodeOptions {
  readonly address: RedisAddress;
  readonly prefix: string;
  readonly durable?: boolean;
  /** What differs from the default, by pattern. */
  readonly rules?: Readonly<Record<string, Partial<ChannelRules>>>;
  readonly refreshMs?: number;
  readonly beatMs?: number;
  /** Whether users are found and channels are listed. */
  readonly keepsDirectory?: boolean;
  /** What is told of lifecycle events. */
  readonly lifecycle?: RedisLifecycleTerms;
  /** What nodes sign with what they say to each other. */
  readonly secret?: string;
  /** Stands between the broker and its connection. */
  readonly wrap?: (commands: RedisCommands) => RedisCommands;
}

export interface Node {
  readonly broker: RedisBroker;
  /** What the handler was told, in its order. */
  readonly told: Told[];
  /** The same, each as a line. */
  lines(channel?: string): string[];
  /** Texts of the entries of a channel, in their order. */
  texts(channel: string): string[];
  publish(channel: string, text: string, key?: string): ReturnType<RedisBroker["publish"]>;
  readonly warnings: string[];
  /** What the log says at level info. */
  readonly infos: string[];
  /** Each change of `ready`. */
  readonly states: boolean[];
  /** The cause of each change to not ready. */
  readonly causes: (string | undefined)[];
  /** Lets what is heard get lost without a trace, as between the servers of a cluster. */
  deafen(deaf: boolean): void;
  /** How many messages have come over Pub/Sub, those that get lost included. */
  arrived(): number;
  /** How much got lost so. */
  missed(): number;
  /** Lets what is heard come so many milliseconds later. */
  delay(ms: number): void;
  /** Ends the connections as a killed process does: nobody is told. */
  crash(): void;
  close(): Promise<void>;
}

export type Told =
  | { kind: "entry"; channel: string; epoch: string; offset: number; text: string }
  | { kind: "transient"; channel: string; id: string; text: string }
  | { kind: "gap"; channel: string; gap: LogGap }
  | { kind: "presence"; channel: string; joined: boolean; name: string; generation: number }
  | { kind: "lost"; channel: string; snapshot: Snapshot };

export function newPrefix(): string {
  return `t${shortId()}:`;
}

export async function openNode(options: NodeOptions): Promise<Node> {
  const { address, prefix, durable = false, rules = {}, refreshMs, beatMs, secret, wrap } = options;
  const { keepsDirectory = false } = options;
  const commands = await openCommands(address);
  const subscriptions = new NodeRedisSubscriptions(address, () => commands.servers());
  await subscriptions.connect();
  commands.moved = () => subscriptions.renew();
  const told: Told[] = [];
  const warnings: string[] = [];
  const infos: string[] = [];
  const states: boolean[] = [];
  const causes: (string | undefined)[] = [];
  const wrapped = wrap?.(commands) ?? commands;
  let deaf = false;
  let missed = 0;
  let arrived = 0;
  let delay = 0;
  const broker = new RedisBroker({
    clock,
    timers,
    random: { epoch: shortId },
    node: shortId(),
    signer: secret === undefined ? undefined : new HmacSigner(secret),
    nextTurn: (callback) => {
      setImmediate(callback);
    },
    logger: {
      warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
      info: (message, fields) => infos.push(`${message} ${JSON.stringify(fields)}`),
    },
    rules: new RuleBook(
      Object.entries(rules).map(([pattern, changed]) => ({
        pattern,
        rules: { ...DEFAULT_CHANNEL_RULES, ...changed },
      })),
    ),
    prefix,
    durable,
    keepsDirectory,
    onReady: (ready, cause) => {
      states.push(ready);
      if (!ready) causes.push(cause);
    },
    lifecycle: options.lifecycle,
    ...(refreshMs === undefined ? {} : { refreshMs }),
    ...(beatMs === undefined ? {} : { beatMs }),
  });
  broker.start({
    publications: (channel, epoch, entries) => {
      for (const { offset, body } of entries) {
        const text = new TextDecoder().decode(body?.event);
        told.push({ kind: "entry", channel, epoch, offset: Number(offset), text });
      }
    },
    transients: (channel, messages) => {
      for (const { id, body } of messages) {
        told.push({ kind: "transient", channel, id, text: new TextDecoder().decode(body?.event) });
      }
    },
    gap: (channel, gap) => told.push({ kind: "gap", channel, gap }),
    patternGap: (channel, gap) => told.push({ kind: "gap", channel, gap }),
    presence: (channel, _, changes) => {
      for (const { member, joined, generation } of changes) {
        const name = member.userId || member.clientId || member.sessionId;
        told.push({ kind: "presence", channel, joined, name, generation });
      }
    },
    presenceLost: (channel, _, snapshot) => told.push({ kind: "lost", channel, snapshot }),
  });
  await broker.connect({
    commands: {
      command: (key, args) => wrapped.command(key, args),
      run: (script, keys, args) => wrapped.run(script, keys, args),
      probe: () => commands.probe(),
    },
    subscriptions: {
      start: (listener) =>
        subscriptions.start({
          message: (topic, payload) => {
            arrived += 1;
            if (deaf) {
              missed += 1;
              return;
            }
            if (delay === 0) listener.message(topic, payload);
            else setTimeout(() => listener.message(topic, payload), delay);
          },
          lost: (cause) => listener.lost(cause),
          regained: () => listener.regained(),
        }),
      subscribe: (topics) => subscriptions.subscribe(topics),
      unsubscribe: (topics) => subscriptions.unsubscribe(topics),
      subscribeGlobs: (globs) => subscriptions.subscribeGlobs(globs),
      unsubscribeGlobs: (globs) => subscriptions.unsubscribeGlobs(globs),
      ping: () => subscriptions.ping(),
    },
  });
  const crash = (): void => {
    commands.close();
    subscriptions.close();
  };
  return {
    broker,
    told,
    lines: (channel) => told.filter((one) => one.channel === (channel ?? one.channel)).map(lineOf),
    texts: (channel) =>
      told.flatMap((one) => (one.kind === "entry" && one.channel === channel ? [one.text] : [])),
    publish: (channel, text, key = crypto.randomUUID()) =>
      broker.publish(channel, { key, body: bodyOf(text) }),
    warnings,
    infos,
    states,
    causes,
    deafen: (value) => {
      deaf = value;
    },
    arrived: () => arrived,
    missed: () => missed,
    delay: (ms) => {
      delay = ms;
    },
    crash,
    close: async () => {
      await broker.close().catch(() => {});
      crash();
    },
  };
}

export function bodyOf(text: string) {
  return create(EntryBodySchema, { event: new TextEncoder().encode(text) });
}

export function session(sessionId: string, userId = "", clientId = ""): MemberSession {
  return { sessionId, userId, clientId };
}

function lineOf(one: Told): string {
  switch (one.kind) {
    case "entry":
      return `${one.offset} ${one.text}`;
    case "transient":
      return `transient ${one.text}`;
    case "gap":
      return `gap ${one.gap.reason} ${one.gap.after?.offset}-${one.gap.until.offset}`;
    case "presence":
      return `${one.joined ? "join" : "leave"} ${one.name}`;
    case "lost":
      return `presence lost ${one.snapshot.members.length}`;
  }
}
