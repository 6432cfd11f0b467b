/**
 * An object of a thread: what it keeps, and its alarm. It goes when it has forgotten everything and no call is under
 * way, since a call may wait and begin a new life of the object afterwards.
 */
import { made } from "../../channels/maps.ts";
import { background } from "../../engine/background.ts";
import type { ObjectPlatform } from "../../objects/ports/platform.ts";
import type { ObjectStorage } from "../../objects/ports/storage.ts";

/** The longest that a timer waits, in milliseconds; what is due later waits once more. */
const LONGEST_MS = 2 ** 31 - 1;

interface Alarmed {
  alarm(): Promise<void>;
}

export interface HostedOptions<T, Store> {
  readonly platform: ObjectPlatform;
  /** Makes what it keeps. */
  store(): Store;
  open(hosted: { readonly storage: ObjectStorage; store(): Store }): T;
  /** It is not needed any more. */
  gone(): void;
}

export class Hosted<T extends Alarmed, Store> {
  readonly object: T;
  readonly #options: HostedOptions<T, Store>;
  #store: Store | undefined;
  /** Calls that are under way. */
  #calls = 0;
  #cancelAlarm: (() => void) | undefined;

  constructor(options: HostedOptions<T, Store>) {
    this.#options = options;
    this.object = options.open({
      storage: { setAlarm: (at) => this.#setAlarm(at), forget: async () => this.#forget() },
      store: () => {
        this.#store ??= options.store();
        return this.#store;
      },
    });
  }

  /** What it keeps; undefined while that is nothing. */
  get store(): Store | undefined {
    return this.#store;
  }

  /** Makes a call. It is one step where its answer is no promise. */
  run<Answer>(call: (object: T) => Answer): Answer {
    this.#calls += 1;
    let answer: Answer | undefined;
    try {
      answer = call(this.object);
    } finally {
      if (!(answer instanceof Promise)) this.#ended();
    }
    return answer instanceof Promise ? (answer.finally(() => this.#ended()) as Answer) : answer;
  }

  #ended(): void {
    this.#calls -= 1;
    this.#look();
  }

  #setAlarm(at: number): void {
    const { clock, timers, logger } = this.#options.platform;
    this.#cancelAlarm?.();
    const wait = Math.min(Math.max(at - clock.now(), 0), LONGEST_MS);
    this.#cancelAlarm = timers.after(wait, () => {
      if (clock.now() < at) {
        this.#setAlarm(at);
        return;
      }
      this.#cancelAlarm = undefined;
      background(
        this.run((object) => object.alarm()),
        logger,
        "an alarm",
      );
    });
  }

  #forget(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    this.#store = undefined;
    this.#look();
  }

  #look(): void {
    if (this.#calls === 0 && this.#store === undefined) this.#options.gone();
  }
}

/** The objects of one kind, by their names. Each begins with its first call. */
export class HostedObjects<T extends Alarmed, Store> {
  readonly #options: Omit<HostedOptions<T, Store>, "gone">;
  readonly #all = new Map<string, Hosted<T, Store>>();

  constructor(options: Omit<HostedOptions<T, Store>, "gone">) {
    this.#options = options;
  }

  of(name: string): Hosted<T, Store> {
    return made(
      this.#all,
      name,
      () => new Hosted({ ...this.#options, gone: () => this.#all.delete(name) }),
    );
  }

  values(): Iterable<Hosted<T, Store>> {
    return this.#all.values();
  }
}
