/** What views share: whom they ask, and how often. */
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { ApiFailure, failureText, type Right, type ServerApi, type Status } from "./server-api.ts";

/** A signed-in operator: the key and what it may do. */
export interface SignedIn {
  readonly api: ServerApi;
  readonly status: Status;
  readonly may: (right: Right) => boolean;
  /** Whether the key has a right in all channels, as what concerns no channel needs it. */
  readonly mayEverywhere: (right: Right) => boolean;
  readonly leave: (why?: string) => void;
}

export const Operator = createContext<SignedIn | undefined>(undefined);

export function useOperator(): SignedIn {
  const operator = useContext(Operator);
  if (operator === undefined) throw new Error("nobody has signed in");
  return operator;
}

/** What came of asking. The last answer stays while the next one is under way, and where that fails. */
export interface Asked<T> {
  readonly answer: T | undefined;
  readonly problem: string | undefined;
  readonly ask: () => void;
}

/**
 * Asks now, whenever `key` changes, and while the page can be seen every so many milliseconds.
 *
 * @param key names what is asked for; the answer to another is dropped
 * @param everyMs 0 for once
 */
export function useAnswer<T>(
  question: (api: ServerApi, signal: AbortSignal) => Promise<T>,
  key: string,
  everyMs = 0,
): Asked<T> {
  const { api, leave } = useOperator();
  const [state, setState] = useState<{ key: string; answer?: T; problem?: string }>({ key });
  const [turn, setTurn] = useState(0);
  const latest = useRef(question);
  latest.current = question;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn asks again.
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const look = async (): Promise<void> => {
      try {
        const answer = await latest.current(api, controller.signal);
        if (!controller.signal.aborted) setState({ key, answer });
      } catch (error) {
        if (controller.signal.aborted) return;
        if (error instanceof ApiFailure && error.code === "unauthenticated") leave(error.message);
        const problem = failureText(error);
        setState((before) => (before.key === key ? { ...before, problem } : { key, problem }));
      }
      if (everyMs > 0 && !controller.signal.aborted) timer = window.setTimeout(again, everyMs);
    };
    const again = (): void => {
      // Who does not look costs nothing.
      if (document.visibilityState === "visible") look().catch(() => {});
      else timer = window.setTimeout(again, everyMs);
    };
    look().catch(() => {});
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [api, leave, key, everyMs, turn]);
  const ask = useCallback(() => setTurn((before) => before + 1), []);
  const fresh = state.key === key;
  return {
    answer: fresh ? state.answer : undefined,
    problem: fresh ? state.problem : undefined,
    ask,
  };
}
