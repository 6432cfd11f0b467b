/**
 * Looks after the sockets that have not sent connect, with one timer for all of them. It exists only
 * while there are some: a timer that has nothing to do keeps its object awake.
 */
import { clock } from "../platform.ts";

/** How often it is looked whether the object could work, in milliseconds. */
const TICK_MS = 500;

export interface WatchHost {
  /** Ends those whose time is over. */
  expire(): void;
  /**
   * The object could do nothing for a while: what its clients have sent meanwhile waits, and no deadline may
   * count that time.
   */
  stalled(ms: number): void;
}

export class ConnectWatch<Socket> {
  readonly #host: WatchHost;
  readonly #sockets = new Set<Socket>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: WatchHost) {
    this.#host = host;
  }

  watch(socket: Socket): void {
    this.#sockets.add(socket);
    this.#arm();
  }

  /** A socket has connected or is gone. */
  settled(socket: Socket): void {
    if (!this.#sockets.delete(socket) || this.#sockets.size > 0) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#sockets.size === 0) return;
    const due = clock.now() + TICK_MS;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const late = clock.now() - due;
      if (late > 0) this.#host.stalled(late);
      this.#host.expire();
      this.#arm();
    }, TICK_MS);
  }
}
