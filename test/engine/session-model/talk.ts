/** How clients talk: one frame or several at once, now and then to the very bounds. */
import type { InboundMessage } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { RandomFrames } from "./clients.ts";
import type { Connection } from "./host.ts";
import type { Witness } from "./witness.ts";

export class Clients {
  readonly #world: Witness;
  readonly #frames: RandomFrames;
  /** Frames at once, at most. */
  readonly #burst: number;

  constructor(world: Witness, burst: number) {
    this.#world = world;
    this.#frames = new RandomFrames(world);
    this.#burst = burst;
  }

  speak(connection: Connection): void {
    const count = this.#world.random.chance(0.3) ? 1 + this.#world.random.int(this.#burst) : 1;
    for (let i = 0; i < count; i++) this.#say(connection);
  }

  #say(connection: Connection): void {
    const { random, calm, settings } = this.#world;
    const { model } = connection;
    const again = calm ? 0.001 : 0.015;
    const connects = random.chance(model.state === "new" ? 0.9 : again);
    const longest = random.chance(calm ? 0.001 : 0.01);
    if (random.chance(calm ? 0.02 : 0.06)) this.#world.transmit(connection, this.#frames.noise());
    else if (longest) this.#send(connection, this.#frames.ping(settings.maxMessageBytes));
    else this.#send(connection, connects ? this.#frames.connect() : this.#frames.any(model));
  }

  /** A client asks for a pong that uses up its credit to the last byte, or exceeds it by one. */
  spendCredit(): void {
    const idle = this.#world.connections.filter(
      ({ model }) => model.state === "connected" && !model.busy,
    );
    const connection = idle.find(({ model }) => model.flow.credit);
    if (connection === undefined) return;
    const { flow, encoding } = connection.model;
    if (this.#world.random.chance(0.5)) this.#send(connection, this.#frames.received(flow.sent));
    const left = this.#world.settings.creditBytes - (flow.sent - flow.received);
    const ping = this.#frames.pingFor(encoding, left + this.#world.random.pick([0, 1]));
    if (ping === undefined) return;
    // To have received less than before means nothing.
    if (this.#world.random.chance(0.3)) this.#send(connection, this.#frames.received(0));
    this.#send(connection, ping);
  }

  /** Many frames at once, for the bounds of those behind connect. */
  flood(): void {
    const waiting = this.#world.connections.filter(({ model }) => model.state === "connecting");
    if (waiting.length === 0) return;
    const connection = this.#world.random.pick(waiting);
    const long = this.#world.settings.maxMessageBytes > 60_000 && this.#world.random.chance(0.5);
    const count = long ? 3 + this.#world.random.int(3) : 62 + this.#world.random.int(5);
    for (let i = 0; i < count; i++) this.#send(connection, this.#frames.ping(long ? 60_000 : 0));
  }

  #send(connection: Connection, message: InboundMessage): void {
    const frame = this.#frames.encode(message, connection.model.encoding);
    this.#world.transmit(connection, frame, message);
  }
}
