/**
 * The Durable Object that holds sockets. It runs one engine whose broker is the channel objects, and
 * sleeps while nobody speaks: everything it must remember rides with the sockets or in its database.
 */
import { DurableObject } from "cloudflare:workers";
import { Authentication } from "../../auth/authentication.ts";
import { background } from "../../engine/background.ts";
import type { ClientSession } from "../../engine/engine.ts";
import { Engine, type NextExpiry } from "../../engine/engine.ts";
import { errorText } from "../../engine/error-text.ts";
import type { Backends } from "../../engine/ports/backends.ts";
import { SESSION_KINDS } from "../../engine/ports/lifecycle.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import type { Transport } from "../../engine/ports/transport.ts";
import type { HookTargets } from "../../hooks/hooks.ts";
import { fetchBytes } from "../../http/fetch-bytes.ts";
import { figuresOf } from "../../http/metrics/regions.ts";
import { webHmac } from "../../http/tickets/hmac.ts";
import { MAX_REPORTED_INCIDENTS } from "../../objects/calls/directory-calls.ts";
import { ObjectBroker } from "../../objects/gateway/broker.ts";
import { FiguresReporter } from "../../objects/gateway/figures.ts";
import { Turn } from "../../objects/gateway/turn.ts";
import type { Called, GatewayStub } from "../../objects/ports/calls.ts";
import type { Encoding } from "../../protocol/codec.ts";
import { DISCONNECTS, disconnectFor } from "../../protocol/codes.ts";
import { gatewayBackends, objectHooks } from "../backends/backends.ts";
import { objectCalls } from "../calls.ts";
import { CAPABILITIES } from "../capabilities.ts";
import { answerClose, askedClose, closeSocket } from "../close.ts";
import { handshake } from "../handshake.ts";
import { ObjectHooks } from "../hooks.ts";
import {
  DOOR_HEADER,
  type Door,
  GATEWAY_WIDTH_HEADER,
  HEARTBEAT_HEADER,
  ISSUED_HEADER,
  parseGatewayName,
  REFUSAL_HEADER,
  REGIONS,
  type Refusal,
  USER_HEADER,
} from "../placement.ts";
import { clock, consoleLoggerAt, random, secret, timers } from "../platform.ts";
import { keepsDirectory, reportsFigures, settingsOf, type WorkerSettings } from "../settings.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { workerTracer } from "../tracing.ts";
import { GatewayAlarm } from "./alarm.ts";
import { SessionRecords } from "./attachment.ts";
import { ConnectWatch } from "./connect-watch.ts";
import { Doubts } from "./doubts.ts";
import { SqlIssuerKeys } from "./issuer-keys.ts";
import {
  SqlChannelRegistrations,
  SqlPatternRegistrations,
  SqlUserRegistrations,
} from "./registration-tables.ts";

/** Longest time between two comparisons of registrations with live sockets, in milliseconds. */
const SWEEP_INTERVAL_MS = 5 * 60 * 1000;

/** The door whose clients read only. It is a tag of their sockets. */
const EVENTS = "events" satisfies Door;

/** The settings that refuse a socket, for the log. */
const BOUNDS: Readonly<Record<Refusal, string>> = {
  full: "limits.sockets_per_gateway",
  busy: "limits.upgrades_per_second",
};

/**
 * The object that holds sockets. A class of the application's own extends it to bring backends as functions.
 *
 * @example
 * // The runtime finds the class by this name.
 * export class GatewayDurableObject extends Gateway {
 *   protected override backends(): Backends {
 *     return { authenticate: async ({ token }) => ({ userId: await userOf(token) }) };
 *   }
 * }
 */
export class GatewayDurableObject extends DurableObject<Env> implements Called<GatewayStub> {
  /** Sessions, hub and surveys of this gateway. */
  protected readonly engine: Engine;
  protected readonly broker: ObjectBroker;
  readonly #turn = new Turn(timers);
  readonly #settings: WorkerSettings;
  readonly #authentication: Authentication;
  readonly #logger: Logger;
  readonly #records: SessionRecords;
  readonly #hooks: ObjectHooks;
  readonly #sessions = new Map<WebSocket, ClientSession>();
  readonly #alarm: GatewayAlarm;
  #awake = false;
  /** When an alarm of this life last swept, Unix milliseconds. */
  #sweptAt = 0;
  /** Closes those that do not connect in time. */
  readonly #connects = new ConnectWatch<WebSocket>({
    expire: () => this.#expire(),
    stalled: (ms) => {
      this.#stalledMs += ms;
    },
  });
  /** How long this life could do nothing while somebody waited, in milliseconds. */
  #stalledMs = 0;
  readonly #doubts: Doubts;
  /** Undefined where nobody wants what it reports. */
  readonly #figures: FiguresReporter | undefined;
  /** Since when a socket counts as heard that seems to be silent, Unix milliseconds. */
  readonly #believed = new Map<WebSocket, number>();
  /** The widest shard count that a Worker has spoken of. */
  #width = 1;
  #second = 0;
  #upgrades = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // The heartbeat that lets this object sleep: answered by the runtime, byte for byte.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#settings = settingsOf(env);
    this.#logger = consoleLoggerAt(this.#settings.logLevel);
    this.#alarm = new GatewayAlarm({
      storage: ctx.storage,
      logger: this.#logger,
      sweepMs: this.#sweepMs,
    });
    const platform = { clock, timers, logger: this.#logger };
    const sql = checkedSql(ctx.storage.sql, platform);
    this.#records = new SessionRecords(sql);
    this.#doubts = new Doubts(sql, this.#settings.idleTimeoutMs);
    this.broker = new ObjectBroker({
      gateway: this.#name,
      calls: objectCalls(ctx),
      channelRegistrations: new SqlChannelRegistrations(sql, () => this.#alarm.ensure()),
      patternRegistrations: new SqlPatternRegistrations(sql, () => this.#alarm.ensure()),
      userRegistrations: new SqlUserRegistrations(sql, () => this.#alarm.ensure()),
      keepsDirectory: keepsDirectory(this.#settings),
      region: parseGatewayName(this.#name)?.region ?? "",
      regions: REGIONS,
      isGateway: (name) => parseGatewayName(name) !== undefined,
      random,
      turn: this.#turn,
      platform,
    });
    this.#authentication = new Authentication(
      this.#settings.auth,
      {
        clock,
        logger: this.#logger,
        fetchBytes,
        hmac: webHmac,
        keyStore: new SqlIssuerKeys(sql),
      },
      gatewayBackends(this.backends(), this.#settings.proxy, env, {
        ...platform,
        random,
        hmac: webHmac,
      }),
    );
    this.#hooks = new ObjectHooks(this.hooks(), {
      sql,
      logger: this.#logger,
      wakeBy: (at) => this.#alarm.by(at),
    });
    this.engine = new Engine({
      broker: this.broker,
      clock: { now: clock.now, steady: () => clock.now() - this.#stalledMs },
      random,
      timers,
      nextTurn: (callback) => this.#turn.soon(callback),
      logger: this.#logger,
      lookBy: (at) => this.#alarmBy(at + this.#stalledMs),
      capabilities: CAPABILITIES,
      backends: this.#authentication.backends,
      lifecycle: this.#hooks.lifecycle,
      tracer: workerTracer(this.#settings, ctx),
      settings: this.#settings,
      maxUnheardBytes: this.#settings.maxUnheardBytes,
    });
    this.#figures = reportsFigures(this.#settings)
      ? new FiguresReporter({
          gateway: this.#name,
          region: parseGatewayName(this.#name)?.region ?? "",
          life: random.uuid(),
          calls: objectCalls(ctx),
          platform,
          figures: () => figuresOf(this.engine.stats()),
          incidents: () => this.engine.counters.incidents.latest(MAX_REPORTED_INCIDENTS),
        })
      : undefined;
  }

  /**
   * The application's backends as functions. A class of the application's own overrides it; what it leaves out is as
   * the settings `proxy` and `hooks` say.
   */
  protected backends(): Backends {
    return {};
  }

  /**
   * The backends to which events of sessions are reported. A class of the application's own overrides it; without that it is as the
   * settings `proxy` and `hooks` say.
   */
  protected hooks(): HookTargets {
    const network = { clock, timers, random, hmac: webHmac, logger: this.#logger };
    return objectHooks(this.#settings.proxy, SESSION_KINDS, this.env, network);
  }

  /** An upgrade that the Worker has checked. Refuses with 503 when this gateway has enough. */
  override fetch(request: Request): Response {
    const { problem } = this.#authentication;
    if (problem !== undefined) {
      // As in the Worker: nothing works half, and only an operator sees what is wrong.
      this.#logger.warn("wrong settings", { problems: problem.problems });
      return new Response("wrong settings, see the log", { status: 500 });
    }
    this.wake();
    this.#width = Math.max(this.#width, Number(request.headers.get(GATEWAY_WIDTH_HEADER)) || 1);
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#logger.debug?.("connection refused", { gateway: this.#name, reason: BOUNDS[refusal] });
      const headers = { [GATEWAY_WIDTH_HEADER]: `${this.#width}`, [REFUSAL_HEADER]: refusal };
      return new Response("gateway full", { status: 503, headers });
    }
    const { encoding, headers } = handshake(request);
    const { 0: client, 1: server } = new WebSocketPair();
    const door = request.headers.get(DOOR_HEADER);
    this.ctx.acceptWebSocket(server, door === null ? [] : [door]);
    const id = `${this.#name}.${random.uuid()}`;
    const session = this.#accept(request.headers, this.#transport(server, id), id, encoding);
    this.#sessions.set(server, session);
    this.#records.save(server, session.record());
    this.#alarm.ensure();
    this.#connects.watch(server);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** A session as the door asks for it that its client has come by. */
  #accept(headers: Headers, transport: Transport, id: string, encoding: Encoding): ClientSession {
    const peer = { address: headers.get("CF-Connecting-IP") ?? "" };
    const door = headers.get(DOOR_HEADER);
    if (door === EVENTS) {
      const userId = decodeURIComponent(headers.get(USER_HEADER) ?? "");
      const issuedAt = Number(headers.get(ISSUED_HEADER) ?? 0);
      const admitted = { userId, issuedAt };
      return this.engine.accept(transport, id, encoding, { ...peer, admitted });
    }
    if (door !== ("stream" satisfies Door)) {
      return this.engine.accept(transport, id, encoding, peer);
    }
    const heartbeatIntervalMs = Number(headers.get(HEARTBEAT_HEADER));
    return this.engine.open(
      transport,
      id,
      encoding,
      { secret: secret(), heartbeatIntervalMs },
      peer,
    );
  }

  /** Entries of a channel. Takes a DeliverRequest, answers a DeliverResponse. */
  deliver(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    this.wake();
    return this.broker.deliver(request);
  }

  /** Something about a session of this gateway. Takes a NodeCall, answers a NodeAnswer. */
  async call(request: Uint8Array): Promise<Uint8Array> {
    this.wake();
    const answer = this.broker.call(request);
    // It may have brought what a client sends.
    this.#turn.frame();
    return await answer;
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    this.wake();
    const frame = typeof data === "string" ? data : new Uint8Array(data);
    const session = this.#sessions.get(socket);
    const asked = askedClose(frame);
    // Of a client that has a socket of its own it is a frame like any other.
    if (asked !== undefined && this.ctx.getTags(socket).length > 0) {
      session?.close(disconnectFor(asked.code) ?? DISCONNECTS.internal, asked.retryAfterMs);
      return;
    }
    const received = session?.receive(frame);
    this.#turn.frame();
    await received;
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.wake();
    // A client that closes by itself has said that it goes; 1005 is a close without a code.
    this.#end(socket, code === 1000 || code === 1005, code);
    answerClose(socket, code, reason);
  }

  override webSocketError(socket: WebSocket): void {
    this.wake();
    this.#end(socket, false);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      this.wake();
      this.#expire();
      // Not at every wake: sockets that closed in a sleep may still need their rows.
      this.#records.sweep((id) => this.engine.session(id) !== undefined);
      await this.#sweep();
      this.#hooks.endOthers((id) => this.engine.session(id) !== undefined);
      this.#hooks.wake();
      return this.#alarmDue();
    });
  }

  /** An alarm that comes for a token may be the next of many, and finds nothing new to sweep. */
  async #sweep(): Promise<void> {
    const since = clock.now() - this.#sweptAt;
    if (since >= 0 && since < this.#sweepMs / 2) return;
    await this.broker.sweep();
    this.#sweptAt = clock.now();
  }

  /** When the next alarm has something to do, Unix milliseconds; undefined when it has not. */
  #alarmDue(): number | undefined {
    const { idle, token } = this.#expire();
    // A channel that could not hear that no session here wants it hears it at the next sweep.
    const unfinished = this.engine.hub.size > 0 || this.broker.stats().registrations > 0;
    const times = [
      idle === undefined ? undefined : idle + this.#stalledMs,
      token === undefined ? undefined : token + this.#stalledMs,
      unfinished && idle === undefined ? clock.now() + this.#sweepMs : undefined,
      this.#hooks.due,
    ].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Ends whose time is over, where that is beyond doubt. */
  #expire(): NextExpiry {
    this.#believed.clear();
    const now = this.engine.steadyNow();
    for (const [socket, session] of this.#sessions) {
      if (!session.connected || session.expiry > now) continue;
      this.#believed.set(socket, this.#doubts.seen(session.expiry, now));
    }
    return this.engine.expire();
  }

  /** No session can fall silent sooner than this, and no registration is stale for longer. */
  get #sweepMs(): number {
    return Math.min(this.#settings.idleTimeoutMs, SWEEP_INTERVAL_MS);
  }

  get #name(): string {
    return this.ctx.id.name ?? "";
  }

  /** Rebuilds the sessions of the sockets that outlived a sleep: once per life, at its first event. Each event calls it. */
  protected wake(): void {
    this.#figures?.changed();
    if (this.#awake) return;
    this.#awake = true;
    for (const socket of this.ctx.getWebSockets()) this.#restore(socket);
    background(this.broker.sweep(), this.#logger, "a gateway's sweep");
    this.#hooks.wake();
    // An alarm that an earlier version of the program could not handle is gone.
    if (this.#sessions.size > 0 || this.broker.stats().registrations > 0) this.#alarm.ensure();
  }

  #transport(socket: WebSocket, id: string): Transport {
    return {
      write: (frame) => {
        try {
          socket.send(frame.data);
        } catch {
          // The socket is closing; its close event ends the session.
        }
      },
      close: (disconnect) => {
        // Its session has ended: a later life must not find it again.
        this.#forget(socket, id);
        closeSocket(socket, disconnect);
      },
      save: (record) => {
        if (record.connected) this.#connects.settled(socket);
        this.#keep(socket, () => this.#records.save(socket, record));
      },
      mark: (marks) => this.#keep(socket, () => this.#records.mark(socket, marks)),
      heard: () => this.#heard(socket),
    };
  }

  /** When a socket was last heard by the runtime, or is believed to live, Unix milliseconds. */
  #heard(socket: WebSocket): number {
    // A client that reads events says nothing; the door closes the socket when its client has gone.
    if (this.ctx.getTags(socket).includes(EVENTS)) return clock.now();
    const ping = this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    // A clock that was set back makes what was heard before it no proof for all the time until then.
    return Math.max(ping > clock.now() ? 0 : ping, this.#believed.get(socket) ?? 0);
  }

  /** Writes down what a session needs after a sleep; one that has no place would be lost then, and goes now. */
  #keep(socket: WebSocket, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#logger.warn("a session cannot be kept", { error: String(error) });
      this.#sessions.get(socket)?.close(DISCONNECTS.internal);
    }
  }

  /** The session of a socket that outlived a sleep, or undefined for one that has none any more. */
  #restore(socket: WebSocket): ClientSession | undefined {
    const known = this.#sessions.get(socket);
    if (known !== undefined) return known;
    try {
      return this.#restored(socket);
    } catch (error) {
      // One record that nobody can read must not keep the sessions of other sockets from waking.
      this.engine.counters.internalErrors += 1;
      this.#logger.warn("a session cannot be restored", { error: errorText(error) });
      this.#records.forget(socket);
      closeSocket(socket, DISCONNECTS.internal);
      return undefined;
    }
  }

  #restored(socket: WebSocket): ClientSession | undefined {
    const record = this.#records.load(socket);
    if (record === undefined) return undefined;
    const { marks } = record;
    // Of a clock that was set back: nobody was heard in a time that is yet to come.
    const early = marks !== undefined && marks.seen > clock.now();
    if (early) marks.seen = BigInt(clock.now());
    const session = this.engine.restore(this.#transport(socket, record.sessionId), record);
    // By rules that have come in the sleep.
    if (session.ended) return undefined;
    this.#sessions.set(socket, session);
    if (early) session.saveMarks();
    if (!session.connected) this.#connects.watch(socket);
    return session;
  }

  /** @param clean whether the client has said that it goes */
  #end(socket: WebSocket, clean: boolean, code?: number): void {
    // It may have closed in a sleep, and nothing says that the runtime lists such a socket before this event.
    const session = this.#restore(socket);
    if (session === undefined) return;
    session.end(clean, code);
    this.#forget(socket, session.id);
  }

  #forget(socket: WebSocket, sessionId: string): void {
    this.#sessions.delete(socket);
    this.#believed.delete(socket);
    this.#records.forget(socket);
    this.#records.remove(sessionId);
    this.#connects.settled(socket);
  }

  /** Why this gateway takes no further socket now, or undefined. */
  #refusal(): Refusal | undefined {
    const { maxSockets, maxUpgradesPerSecond } = this.#settings;
    if (this.#sessions.size >= maxSockets) return "full";
    const second = Math.floor(clock.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#upgrades = 0;
    }
    this.#upgrades += 1;
    return this.#upgrades > maxUpgradesPerSecond ? "busy" : undefined;
  }

  /** Has the alarm come at this time, Unix milliseconds, if it would come later. */
  #alarmBy(at: number): void {
    // No alarm is stored for later than a client that was heard now could be silent.
    if (at < clock.now() + this.#settings.idleTimeoutMs) this.#alarm.by(at);
  }
}
