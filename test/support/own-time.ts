/**
 * Time as this process had it: how long something takes where others on the machine take the processor away. For bounds
 * on what happens in this process. What another process does is not counted when that one has to wait.
 */

/** How often it looks, and what one look counts at most, in milliseconds: a process that has its turn is hardly later. */
const LOOK_MS = 5;
const MOST_MS = 10;

export interface OwnTime {
  /** Milliseconds that this process has had since it began. */
  ms(): number;
  stop(): void;
}

export function ownTime(): OwnTime {
  let counted = 0;
  let before = performance.now();
  const look = (): void => {
    const now = performance.now();
    counted += Math.min(now - before, MOST_MS);
    before = now;
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return {
    ms: () => {
      look();
      return counted;
    },
    stop: () => clearInterval(timer),
  };
}
