/**
 * Events with types, whose listeners cannot break what tells them. What other runtimes declare of events and signals
 * differs, and some projects have none of it: the types here are those that all of them have.
 */

/** An event with what belongs to it: a `CustomEvent`. */
export interface DetailEvent<T> {
  readonly type: string;
  readonly detail: T;
}

/** A listener of an event whose `detail` is a `T`. */
export type Listener<T> =
  | ((event: DetailEvent<T>) => unknown)
  | { handleEvent(event: DetailEvent<T>): unknown };

/** An `AbortSignal`. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface ListenerOptions {
  readonly once?: boolean;
  /** Removes the listener. */
  readonly signal?: Signal;
}

/** An `EventTarget`. */
interface Target {
  addEventListener(type: string, listener: object | null, options?: object | boolean): void;
  removeEventListener(type: string, listener: object | null, options?: object | boolean): void;
  dispatchEvent(event: object): boolean;
}

/**
 * An `EventTarget` that knows the details of its events by their names. What a listener throws, or rejects with, goes
 * where the owner says instead of ending the process.
 */
export class Emitter<Events extends object> extends (EventTarget as unknown as new () => Target) {
  readonly #failed: (error: unknown) => void;
  readonly #wrapped = new WeakMap<object, (event: DetailEvent<never>) => void>();
  /** The types that anybody has ever listened to: of others no event is made. */
  readonly #types = new Set<string>();

  protected constructor(failed: (error: unknown) => void) {
    super();
    this.#failed = failed;
  }

  override addEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: Listener<Events[Type]>,
    options?: ListenerOptions,
  ): void {
    const wrapped =
      this.#wrapped.get(listener) ??
      ((event: DetailEvent<Events[Type]>) =>
        this.hand(
          typeof listener === "function" ? listener : (given) => listener.handleEvent(given),
          event,
        ));
    this.#wrapped.set(listener, wrapped as never);
    this.#types.add(type);
    super.addEventListener(type, wrapped, options);
  }

  override removeEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: Listener<Events[Type]>,
  ): void {
    super.removeEventListener(type, this.#wrapped.get(listener) ?? null);
  }

  /** Gives something to the application, whose mistakes must not look like the connection's. @internal */
  hand<T>(handler: (value: T) => unknown, value: T): void {
    try {
      const outcome = handler(value);
      if (outcome instanceof Promise) outcome.catch(this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @internal */
  emit<Type extends keyof Events & string>(type: Type, detail: Events[Type]): void {
    if (this.#types.has(type)) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The same promise; nobody has to look at its rejection. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** What settles a promise. */
type Settle<T> = [resolve: (value: T) => void, reject: (error: unknown) => void];

/** A promise whose rejection may be ignored, and what settles it. */
export function deferred<T = void>(): readonly [promise: Promise<T>, ...Settle<T>] {
  let settle: Partial<Settle<T>> = [];
  const promise = new Promise<T>((...given) => {
    settle = given;
  });
  return [quiet(promise), ...(settle as Settle<T>)];
}

/** Calls when a signal aborts, or at once where it has. @param until nothing is called once it has settled */
export function whenAborted(
  signal: Signal | undefined,
  run: (reason: unknown) => unknown,
  until?: Promise<unknown>,
): void {
  const abort = (): void => {
    run(signal?.reason);
  };
  const forget = (): void => signal?.removeEventListener("abort", abort);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  until?.then(forget, forget);
}
