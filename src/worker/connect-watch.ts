/**
 * Looks after the sockets that have not sent connect, with one timer for all of them. It exists only
 * while there are some: a timer that has nothing to do keeps its object awake.
 */
import { clock } from "./platform.ts";

export class ConnectWatch<Socket> {
  /** Ends those whose time is over, and tells when the next one's will be, in Unix milliseconds. */
  readonly #expire: () => number | undefined;
  readonly #sockets = new Set<Socket>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(expire: () => number | undefined) {
    this.#expire = expire;
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
    if (this.#timer !== undefined) return;
    const next = this.#expire();
    if (next === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#arm();
      },
      Math.max(next - clock.now(), 0),
    );
  }
}
