/**
 * What the product does not have: one gateway of a region takes what a channel delivers and hands it on to the region's
 * others. It is between the two by their own port, so that neither knows of it. The gateways of the region register with the relay
 * as with the channel, the relay registers once with the channel, and everything else goes to the channel.
 *
 * It answers a delivery when every gateway of the region has, and a delivery that one of them has not taken is made again
 * for all of them: what each has by then it leaves out by itself. So the channel owes as without a relay, and a gateway
 * that does not answer holds up its region.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SharedCall } from "../../src/engine/background.ts";
import { GONE, STAYS } from "../../src/objects/calls/gateway-calls.ts";
import { encodeDelivery, encodeEntry } from "../../src/objects/calls/internal-codec.ts";
import { readDelivery } from "../../src/objects/calls/internal-reader.ts";
import {
  DeliverResponseSchema,
  RegisterRequestSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { bodyBytes } from "../../src/protocol/plain-protobuf/entry.ts";
import type { CountedGateway } from "./gateway.ts";
import type { Life, Machine } from "./machine.ts";
import type { World } from "./world.ts";

export class Relay {
  readonly #channel: string;
  readonly #gateway: CountedGateway;
  readonly #world: World;
  /** Registrations of the region's gateways, which it keeps as rows. */
  readonly #members = new Map<string, string>();
  /** Its own, a row as well; empty where it has none. */
  #registration = "";
  #isRegistered = false;
  #sequence = 0n;
  #asking: { readonly life: Life; readonly call: SharedCall<Uint8Array> } | undefined;

  constructor(channel: string, gateway: CountedGateway, world: World) {
    this.#channel = channel;
    this.#gateway = gateway;
    this.#world = world;
  }

  get machine(): Machine {
    return this.#gateway.machine;
  }

  get life(): Life {
    return this.#gateway.life;
  }

  get object(): this {
    return this;
  }

  /** Takes a RegisterRequest of a gateway, answers the RegisterResponse of the channel. */
  async register(request: Uint8Array): Promise<Uint8Array> {
    const { gateway, registration, ended } = fromBinary(RegisterRequestSchema, request);
    // From now on it is given what comes, and the channel's answer is later than that.
    if (registration !== "") this.#keep(gateway, registration);
    if (ended !== "" && this.#members.get(gateway) === ended) this.#keep(gateway, undefined);
    return await this.#asked.ask();
  }

  async deliver(request: Uint8Array): Promise<Uint8Array> {
    const { entries, ...delivery } = readDelivery(request);
    const encoded = entries.map(({ offset, time, body }) =>
      encodeEntry({
        offset: Number(offset),
        time: Number(time),
        key: "",
        body: body === undefined ? new Uint8Array() : bodyBytes(body),
      }),
    );
    const to = (registration: string): Uint8Array =>
      encodeDelivery({
        channel: this.#channel,
        registration,
        epoch: delivery.epoch,
        prev: Number(delivery.prev),
        entries: encoded,
        presence: [],
        presenceLost: false,
        undeliveredTime: Number(delivery.undeliveredTime),
        transients: [],
      });
    const { life } = this;
    const calls = this.#world.callsOf(life);
    const members = [...this.#members];
    const own = members.filter(([name]) => name === this.#gateway.name);
    // The others first: its own sockets take long.
    const handed = members
      .filter(([name]) => name !== this.#gateway.name)
      .map(async ([name, registration]) => ({
        name,
        registration,
        answer: await calls.gateway(name).deliver(to(registration)),
      }));
    const taken = own.map(async ([name, registration]) => ({
      name,
      registration,
      answer: await this.#gateway.object.take(to(registration)),
    }));
    for (const { name, registration, answer } of await Promise.all([...handed, ...taken])) {
      const { gone } = fromBinary(DeliverResponseSchema, answer);
      if (gone && this.#members.get(name) === registration) this.#keep(name, undefined);
    }
    if (this.#members.size > 0) return STAYS;
    this.#isRegistered = false;
    return GONE;
  }

  /** Asks the channel where it is, and registers where that is to be done. Those who ask meanwhile share the next call. */
  get #asked(): SharedCall<Uint8Array> {
    const { life } = this;
    if (this.#asking?.life !== life) {
      const stub = this.#world.callsOf(life).channel(this.#channel);
      this.#asking = { life, call: new SharedCall(() => stub.register(this.#request())) };
    }
    return this.#asking.call;
  }

  #request(): Uint8Array {
    const wanted = this.#members.size > 0;
    const begins = wanted && !this.#isRegistered;
    const ended = wanted || !this.#isRegistered ? "" : this.#registration;
    if (begins) {
      this.#registration = this.#world.uuid();
      this.#world.wrote();
    }
    this.#isRegistered = wanted;
    this.#sequence += 1n;
    const request = create(RegisterRequestSchema, {
      gateway: this.#gateway.name,
      region: this.machine.region,
      sequence: this.#sequence,
      // The same again changes nothing, and a call that was lost is made good by the next.
      registration: wanted ? this.#registration : "",
      ended,
    });
    return toBinary(RegisterRequestSchema, request);
  }

  #keep(gateway: string, registration: string | undefined): void {
    this.#world.wrote();
    if (registration === undefined) this.#members.delete(gateway);
    else this.#members.set(gateway, registration);
  }
}
