/** What happens to the host of a random life, and the facts that it leaves. */
import { unawaited } from "../support/unawaited.ts";
import type { Fact } from "./facts.ts";
import type { HostEvent, LifeHost } from "./host.ts";

export class Happenings {
  /** How often each thing has happened. */
  readonly counts: Record<string, number> = {};
  readonly #host: LifeHost;
  readonly #note: (fact: Fact) => void;
  readonly #complain: (problem: string) => void;
  readonly #running = new Set<Promise<void>>();
  #spans = 0;

  constructor(host: LifeHost, note: (fact: Fact) => void, complain: (problem: string) => void) {
    this.#host = host;
    this.#note = note;
    this.#complain = complain;
  }

  /** Resolves when it is over, or has begun where the steps do not wait for it. */
  async happen(name: string, event: HostEvent, channel: string, place: number): Promise<void> {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.#spans += 1;
    const span = this.#spans;
    const what = `${name} ${channel}`;
    if (event.faulty) this.#note({ kind: "fault", what });
    if (event.trims) this.#note({ kind: "trim", channel, span, done: false });
    this.#lose(event, channel, span, false);
    const running = event.run(channel, place).then(
      () => {
        if (event.faulty) this.#note({ kind: "fault", what });
        if (event.trims) this.#note({ kind: "trim", channel, span, done: true });
        this.#lose(event, channel, span, true);
      },
      (error: unknown) => {
        this.#complain(`${name}: ${error}`);
      },
    );
    if (event.waits) await running;
    else {
      this.#running.add(running);
      unawaited(running.then(() => this.#running.delete(running)));
    }
  }

  /** Resolves when nothing is happening any more. */
  async over(): Promise<void> {
    await Promise.all(this.#running);
  }

  #lose({ loses }: HostEvent, channel: string, span: number, done: boolean): void {
    for (const [name, { volatile }] of this.#host.channels) {
      const meant = loses === "all" || (loses === "channel" && name === channel);
      if (volatile && meant) this.#note({ kind: "loss", channel: name, span, done });
    }
  }
}
