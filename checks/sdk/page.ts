/** A page around a client, which is left and shown again. */
import type { Surroundings } from "../../src/index.ts";

export class Page implements Surroundings {
  #wake = (): void => {};
  #sleep = (): void => {};
  #hidden = false;

  /** Whether it is left, and hears nothing. */
  get hidden(): boolean {
    return this.#hidden;
  }

  watch(wake: () => void, sleep: () => void): () => void {
    this.#wake = wake;
    this.#sleep = sleep;
    return () => {
      this.#wake = () => {};
      this.#sleep = () => {};
    };
  }

  /** It is left, and kept. */
  leave(): void {
    this.#hidden = true;
    this.#sleep();
  }

  /** It is shown again, if it was left. */
  show(): void {
    if (!this.#hidden) return;
    this.#hidden = false;
    this.#wake();
  }

  /** The device has a network again. */
  online(): void {
    if (!this.#hidden) this.#wake();
  }
}
