/**
 * What it costs to parse and dispatch messages, by both clients in turns: dispatch.mjs FILE. The file has what each is given, as
 * `Work` of dispatch.ts. A WebSocket that is none hands it over, so that only clients are measured. Prints nanoseconds a message,
 * ours and theirs, of each pair.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { Centrifuge } from "centrifuge";
import { Centrifuge as ProtobufCentrifuge } from "centrifuge/build/protobuf";
import { createClient, protobuf, webSocket } from "./messageloop.mjs";

const work = JSON.parse(readFileSync(process.argv[2], "utf8"));
const isBinary = work.encoding === "protobuf";
/** Pairs that nobody counts, until everything is compiled. */
const WARM_PAIRS = 3;
const utf8 = new TextDecoder();

/** A WebSocket whose other side is this program. */
class FakeSocket {
  static answers = [];
  static last;
  readyState = 1;
  binaryType = "blob";
  #listeners = { open: [], message: [], close: [], error: [] };
  #answers = [...FakeSocket.answers];

  constructor(_url, protocols = []) {
    this.protocol = [protocols].flat()[0] ?? "";
    FakeSocket.last = this;
    queueMicrotask(() => this.#tell("open", {}));
  }

  addEventListener(type, listener) {
    this.#listeners[type].push(listener);
  }

  send(data) {
    for (let left = commandsOf(data); left > 0 && this.#answers.length > 0; left--) {
      const answer = this.#answers.shift();
      queueMicrotask(() => this.receive(answer));
    }
  }

  receive(data) {
    this.#tell("message", { data });
  }

  close(code = 1000, reason = "") {
    this.readyState = 3;
    queueMicrotask(() => this.#tell("close", { code, reason }));
  }

  #tell(type, event) {
    this[`on${type}`]?.(event);
    for (const listener of this.#listeners[type]) listener(event);
  }
}

/** How many commands a frame holds: Centrifugo's lines, or messages with lengths; ours is one. */
function commandsOf(data) {
  if (typeof data === "string") return data.trim().split("\n").length;
  if (FakeSocket.answers.length === 1) return 1;
  let count = 0;
  for (let at = 0; at < data.length; count++) at += data[at] + 1;
  return count;
}

/** Hears messages, and says when as many as were sent have come. */
class Ear {
  heard = 0;
  sum = 0;
  #wanted = 0;
  #resolve = () => {};

  note(data) {
    this.sum += data.n;
    this.heard += 1;
    if (this.heard === this.#wanted) this.#resolve();
  }

  expect(count) {
    this.#wanted = this.heard + count;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

const SIDES = {
  ours: async () => {
    const ear = new Ear();
    const client = createClient("ws://fake/ws", {
      encoding: isBinary ? protobuf : "json",
      transport: webSocket(FakeSocket),
    });
    client.subscribe(work.channel, ({ data }) => ear.note(data));
    await client.ready;
    return { ear, socket: FakeSocket.last, close: () => client.close() };
  },
  theirs: async () => {
    const ear = new Ear();
    const Client = isBinary ? ProtobufCentrifuge : Centrifuge;
    const client = new Client("ws://fake/connection/websocket", { websocket: FakeSocket });
    const subscription = client.newSubscription(work.channel, {
      recoverable: true,
      positioned: true,
    });
    // In protobuf it hands out bytes, and the application parses them.
    subscription.on("publication", ({ data }) =>
      ear.note(isBinary ? JSON.parse(utf8.decode(data)) : data),
    );
    subscription.subscribe();
    client.connect();
    await subscription.ready();
    return { ear, socket: FakeSocket.last, close: () => client.disconnect() };
  },
};

const frames = { ours: read(work.ours), theirs: read(work.theirs) };

function read({ answers, turns }) {
  // A whole ArrayBuffer for each, as a WebSocket hands it out.
  const frame = (text) => (isBinary ? new Uint8Array(Buffer.from(text, "base64")).buffer : text);
  return { answers: answers.map(frame), turns: turns.map((turn) => turn.map(frame)) };
}

/** Nanoseconds of CPU time a message. */
async function play(side) {
  const { answers, turns } = frames[side];
  FakeSocket.answers = answers;
  const clients = [];
  for (let i = 0; i < work.clients; i++) clients.push(await SIDES[side]());
  globalThis.gc();
  const before = process.cpuUsage();
  for (const { ear, socket } of clients) {
    for (const turn of turns) {
      const heard = ear.expect(work.together);
      if (work.plant && side === "ours") burn(turn.length);
      for (const frame of turn) socket.receive(frame);
      await heard;
    }
  }
  const { user, system } = process.cpuUsage(before);
  const count = turns.length * work.together;
  for (const { ear, close } of clients) {
    close();
    if (ear.heard !== count || ear.sum !== (count * (count + 1)) / 2) {
      throw new Error(`${side}: ${ear.heard} of ${count} messages were heard, or others`);
    }
  }
  return ((user + system) * 1_000) / (count * work.clients);
}

/** 20 microseconds for each frame. */
function burn(frames) {
  const end = performance.now() + 0.02 * frames;
  while (performance.now() < end);
}

const pairs = [];
for (let i = 0; i < WARM_PAIRS + work.pairs; i++) {
  const order = i % 2 === 0 ? ["ours", "theirs"] : ["theirs", "ours"];
  const taken = {};
  for (const side of order) taken[side] = await play(side);
  if (i >= WARM_PAIRS) pairs.push([taken.ours, taken.theirs]);
}
console.log(JSON.stringify(pairs));
process.exit();
