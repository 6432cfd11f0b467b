/** Time and chance of a log, so that tests own them. */
export interface LogClock {
  /** Unix milliseconds. */
  now(): number;
}

export interface LogRandom {
  /** A random name for a log's life: short, unguessable, of letters and digits. */
  epoch(): string;
}
