/** A network that a visitor of the page can cut, to see what a client makes of it. */
import type { Transport, TransportEvents, TransportFactory } from "../../client/core/ports.ts";

/** What a connection reports that is lost without a word. */
const LOST = { code: 1006, reason: "" };

export class Network implements TransportFactory {
  readonly name: string;
  readonly #inner: TransportFactory;
  readonly #losses = new Set<() => void>();
  #cut = false;

  constructor(inner: TransportFactory) {
    this.name = inner.name;
    this.#inner = inner;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  /** Everything that is open is lost, and nothing can be opened any more. */
  cut(): void {
    this.#cut = true;
    for (const lose of [...this.#losses]) lose();
  }

  /** Says that the network is back as a browser does. */
  mend(): void {
    this.#cut = false;
    dispatchEvent(new Event("online"));
  }

  open(url: string, subprotocol: string, events: TransportEvents): Transport {
    if (this.#cut) {
      const timer = setTimeout(() => events.ended(LOST));
      return { send() {}, ping() {}, close: () => clearTimeout(timer) };
    }
    let lost = false;
    const end = (tell: () => void): void => {
      if (lost) return;
      lost = true;
      this.#losses.delete(lose);
      tell();
    };
    const lose = (): void => {
      end(() => events.ended(LOST));
      transport.close(1000, "");
    };
    this.#losses.add(lose);
    const transport = this.#inner.open(url, subprotocol, {
      opened: () => lost || events.opened(),
      frame: (frame) => lost || events.frame(frame),
      alive: () => lost || events.alive(),
      ended: (how) => end(() => events.ended(how)),
    });
    return {
      send: (frame) => lost || transport.send(frame),
      ping: () => lost || transport.ping(),
      close: (code, reason) => transport.close(code, reason),
    };
  }
}
