/** A random life in workerd: objects sleep, are reset, and are all reset at once, which is the restart here. */
import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import {
  CHANNEL_RULES,
  lifeChannels,
  OBJECTS_SLEEP_AFTER_MS,
  RECOVERY_MESSAGES,
} from "../history/channels.ts";
import type { HostEvent, LifeHost, LifeSocket } from "../history/host.ts";
import { live, SEEN_BY_ALL } from "../history/life.ts";
import { delay } from "../support/platform.ts";
import { seed, steps } from "../support/random.ts";
import { abort } from "./abort.ts";
import { Faults, type Method, type Moment } from "./history-faults.ts";

const GATEWAYS = 3;
/** Calls that one fault strikes. */
const CALLS = 3;
/** A crash waits so long for a publish. */
const CRASH_WITHIN_MS = 500;
/** How long to wait before something is tried again, in milliseconds. */
const LOOK_MS = 5;
const SILENCE_MS = 50;
/** How long until a channel has heard of a delivery that failed, in milliseconds. */
const HEARD_MS = 300;
const FAULTY = { faulty: true };
const LOSING = { faulty: true, loses: "channel" } as const;
/** Messages are too old after one second: `history_ttl` of a channel of this life. */
const EXPIRY_MS = 1_100;

// The settings of this file's objects: none of them has been made yet.
Object.assign((env as unknown as { messageloop: object }).messageloop, {
  limits: { recovery_messages: RECOVERY_MESSAGES },
  channels: CHANNEL_RULES,
});
// Who a client says it is it is.
vi.spyOn(
  GatewayDurableObject.prototype as unknown as { backends(): Backends },
  "backends",
).mockReturnValue({ authenticate: async ({ token }) => ({ userId: token }) });
const faults = new Faults();

class WorkerHost implements LifeHost {
  readonly places = GATEWAYS;
  readonly channels = lifeChannels(settingsOf({ ...env }).rules, false, OBJECTS_SLEEP_AFTER_MS);
  readonly recoveryMessages = RECOVERY_MESSAGES;
  readonly repeatsInside = true;
  readonly authenticates = true;
  /** Gateways that are falling asleep. */
  readonly #drowsy = new Set<number>();

  readonly events: ReadonlyMap<string, HostEvent> = new Map([
    ["evict gateway", event(60, {}, (_, place) => this.#evictGateway(place))],
    ["evict channel", event(60, { loses: "channel" }, (channel) => evict(channelStub(channel)))],
    ["reset gateway", event(15, FAULTY, (_, place) => abort(gatewayStub(place)))],
    ["reset channel", event(15, LOSING, (channel) => abort(channelStub(channel)))],
    ["restart", event(10, { ...FAULTY, loses: "all", waits: true }, abortAllDurableObjects)],
    ["crash before delivery", event(20, LOSING, (channel) => crash(channel, "before delivery"))],
    [
      "crash before the answer",
      event(20, LOSING, (channel) => crash(channel, "before the answer")),
    ],
    // So rare that it is certain once: of 50 lives one would not have it.
    ["silence a channel", event(4, { ...LOSING, every: 7_000 }, silence)],
    ["lose deliveries", event(30, FAULTY, loseDeliveries)],
    ["lose answers", event(40, FAULTY, loseAnswers)],
    ["expire", event(12, { waits: true }, () => delay(EXPIRY_MS))],
    ["trim", event(30, { trims: true }, trim)],
  ]);

  async open(encoding: Encoding, place: number): Promise<LifeSocket> {
    const request = new Request("http://localhost/ws", {
      headers: {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": codecFor(encoding).subprotocol,
      },
    });
    const { webSocket, status } = await gatewayStub(place).fetch(request);
    if (webSocket === null) throw new Error(`no socket: ${status}`);
    webSocket.accept();
    return webSocket;
  }

  now(): number {
    return Date.now();
  }

  async turn(): Promise<void> {
    await delay(0);
  }

  /** A gateway that has timers takes seconds to fall asleep, and works on until then. */
  async #evictGateway(place: number): Promise<void> {
    if (this.#drowsy.has(place)) return;
    this.#drowsy.add(place);
    await evict(gatewayStub(place));
    this.#drowsy.delete(place);
  }
}

function gatewayStub(place: number) {
  return exports.GatewayDurableObject.getByName(`sam-${place}`);
}

function channelStub(channel: string) {
  return exports.ChannelDurableObject.getByName(channel);
}

async function evict(stub: DurableObjectStub): Promise<void> {
  await evictDurableObject(stub).catch(() => {
    // It sleeps already.
  });
}

async function crash(channel: string, moment: Moment): Promise<void> {
  await faults.crash(channel, moment, CRASH_WITHIN_MS);
}

/** What a channel has to say reaches nobody, and then it is reset: only its alarm can make up for that. */
async function silence(channel: string): Promise<void> {
  faults.silenced.add(channel);
  await delay(SILENCE_MS);
  // It hears that its deliveries have failed: one that fails while the object is reset is lost with it.
  faults.closed.add(channel);
  await delay(HEARD_MS);
  await abort(channelStub(channel));
  faults.silenced.delete(channel);
  faults.closed.delete(channel);
}

async function loseDeliveries(_channel: string, place: number): Promise<void> {
  const { deliveries } = faults;
  if (place === 0) deliveries.unconfirmed = CALLS;
  else deliveries.lost = CALLS;
}

async function loseAnswers(channel: string, place: number): Promise<void> {
  const methods: readonly Method[] = ["publish", "register", "read", "history"];
  const method = methods[(channel.length + place) % methods.length] ?? "publish";
  faults.answers[method] = CALLS;
}

async function trim(channel: string, place: number): Promise<void> {
  for (;;) {
    try {
      // A stub of an object that was reset does not work again.
      await runInDurableObject(gatewayStub(place), async (instance) => {
        await (instance as unknown as { engine: Engine }).engine.removeHistory(channel);
      });
      return;
    } catch {
      // An object was reset on the way: until it is known to be done it is done again.
      await delay(LOOK_MS);
    }
  }
}

function event(often: number, more: Partial<HostEvent>, run: HostEvent["run"]): HostEvent {
  return { often, loses: "nothing", faulty: false, trims: false, waits: false, ...more, run };
}

/** A longer life may take longer. */
const TIMEOUT_MS = Math.max(1_200_000, 60 * steps(10_000));

test("10,000 steps", {
  // A second life would begin with what the first one left.
  retry: 0,
  timeout: TIMEOUT_MS,
}, async () => {
  const host = new WorkerHost();
  const count = steps(10_000);
  const { counts, events } = await live({ host, steps: count, seed: seed() });
  // A shorter life need not see everything.
  if (count < 10_000) return;
  expect(Object.keys(counts)).toEqual(
    expect.arrayContaining([...SEEN_BY_ALL, "gap epoch_changed"]),
  );
  expect(Object.keys(events).sort()).toEqual([...host.events.keys()].sort());
});
