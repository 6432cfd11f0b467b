/** A client whose server is the test: transports that do what it says, on a clock that it moves. */
import { Client } from "../../../src/client/core/client.ts";
import { CAPABILITIES } from "../../../src/client/core/connection.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import type {
  QueueFactory,
  Surroundings,
  Transport,
  TransportEnd,
  TransportEvents,
  TransportFactory,
} from "../../../src/client/core/ports.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import type {
  ConnectedFrame,
  Frame,
  InboundFrame,
  OutboundFrame,
} from "../../../src/client/wire/frames.ts";

/** One connection, seen from the server. */
export class ScriptedTransport implements Transport {
  readonly url: string;
  readonly subprotocol: string;
  readonly sent: InboundFrame[] = [];
  pings = 0;
  closed: { code: number; reason: string } | undefined;
  readonly #events: TransportEvents;

  constructor(url: string, subprotocol: string, events: TransportEvents) {
    this.url = url;
    this.subprotocol = subprotocol;
    this.#events = events;
  }

  send(frame: Frame): void {
    this.sent.push(JSON.parse(String(frame)) as InboundFrame);
  }

  ping(): void {
    this.pings += 1;
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }

  /** What was sent last. */
  get last(): InboundFrame {
    return this.sent.at(-1) ?? {};
  }

  opened(): void {
    this.#events.opened();
  }

  alive(): void {
    this.#events.alive();
  }

  frame(frame: OutboundFrame): void {
    this.#events.frame(JSON.stringify(frame));
  }

  text(text: string): void {
    this.#events.frame(text);
  }

  /** Answers what was sent last. */
  answer(frame: OutboundFrame): void {
    this.frame({ id: this.last.id ?? "", ...frame });
  }

  end(code: number, reason = "", more: Omit<TransportEnd, "code" | "reason"> = {}): void {
    this.#events.ended({ code, reason, ...more });
  }

  /** Opens and answers connect: every subscription that it asks for is granted, unless the answer says otherwise. */
  connect(connected: ConnectedFrame = {}): void {
    this.opened();
    const subscriptions = (this.last.connect?.subscriptions ?? []).map(({ channel }) => ({
      channel,
      position: { epoch: "e", offset: 0 },
    }));
    this.answer({
      time: 1_767_225_600_000,
      connected: {
        session_id: `s${this.url.length}`,
        capabilities: CAPABILITIES,
        max_message_bytes: 65_536,
        subscriptions,
        ...connected,
      },
    });
  }
}

/** A page in the test's hand. */
export class ScriptedPage implements Surroundings {
  wake = (): void => {};
  sleep = (): void => {};
  watched = 0;

  watch(wake: () => void, sleep: () => void): () => void {
    this.wake = wake;
    this.sleep = sleep;
    this.watched += 1;
    return () => {
      this.watched -= 1;
    };
  }
}

export class Scene {
  readonly clock: ManualClock;
  readonly page = new ScriptedPage();
  readonly transports: ScriptedTransport[] = [];
  readonly client: Client;
  readonly errors: unknown[] = [];
  /** The states that the client has entered. */
  readonly states: string[] = [];

  constructor(
    options: ClientOptions & {
      readonly patient?: boolean;
      readonly random?: () => number;
      readonly queueFactory?: QueueFactory;
    } = {},
  ) {
    const { patient = true, random = () => 0.01, queueFactory, ...rest } = options;
    this.clock = new ManualClock(undefined, random);
    this.client = new Client(
      "ws://scripted",
      {
        clientId: "me",
        clock: this.clock,
        surroundings: this.page,
        transport: this.factory(),
        onError: (error) => this.errors.push(error),
        ...rest,
      },
      queueFactory,
      patient,
    );
    this.client.addEventListener("statechange", ({ detail }) => this.states.push(detail.state));
  }

  factory(): TransportFactory {
    return {
      name: "scripted",
      open: (url, subprotocol, events) => {
        const transport = new ScriptedTransport(url, subprotocol, events);
        this.transports.push(transport);
        return transport;
      },
    };
  }

  /** The connection of the latest attempt. */
  get transport(): ScriptedTransport {
    const transport = this.transports.at(-1);
    if (transport === undefined) throw new Error("no attempt was made");
    return transport;
  }

  /** Cuts the connection and lets the next attempt connect. */
  async reconnect(connected?: ConnectedFrame): Promise<void> {
    const attempts = this.transports.length;
    this.transport.end(1006);
    await this.clock.advance(500);
    if (this.transports.length !== attempts + 1) throw new Error("it has not come back");
    this.transport.connect(connected);
  }
}

/** A scene whose client is connected. */
export function connectedScene(
  options?: ConstructorParameters<typeof Scene>[0],
  connected?: ConnectedFrame,
): Scene {
  const scene = new Scene(options);
  scene.transport.connect(connected);
  return scene;
}

/** Leaves a promise to itself, as applications do. */
export function ignore(_promise: Promise<unknown>): void {}
