/** Other ways to the server where the first one is blocked. */
import { MessagingError } from "../../protocol/errors.ts";
import { systemClock } from "../core/environment.ts";
import type {
  Clock,
  Transport,
  TransportEnd,
  TransportEvents,
  TransportFactory,
} from "../core/ports.ts";
import type { Frame } from "../wire/frames.ts";
import { beside } from "./address.ts";
import { type SessionMemory, sessionMemory } from "./session-memory.ts";

export interface FallbackOptions {
  /** How long a way may be silent before the next one is tried, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Where it is kept which way got through. Default: `sessionStorage` in pages, the process's memory elsewhere. */
  readonly memory?: SessionMemory;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
}

/** No close code came. */
const LOST = 1006;
const TIMEOUT_MS = 10_000;
/** How often the first way must have failed, in a row, while another got through, to be taken for blocked. */
const TIMES_BLOCKED = 2;

/** What is remembered of a server. */
interface Remembered {
  /** Name of the way that got through. */
  readonly name: string;
  /** How often in a row it did so after the first one had failed. */
  readonly times: number;
}

/**
 * Several ways to the server, the best first. Where one ends, or is silent, before the server has said anything in it, the
 * next one is tried within the same attempt.
 *
 * The first way counts as blocked when another one got through after it had failed, twice in a row, or once where it was
 * silent: then the other one is tried first for the rest of the session. It is forgotten when that one does not get through
 * either.
 *
 * What the server itself says is no blockade: a close code, a refused token, a wrong subprotocol.
 *
 * @throws MessagingError BAD_REQUEST for no way at all
 *
 * @example
 * const transport = fallback([webSocket(), connectStream()]);
 * const client = await dial("wss://example.com/ws", { transport });
 */
export function fallback(
  ways: readonly TransportFactory[],
  { timeoutMs = TIMEOUT_MS, memory = sessionMemory, clock = systemClock }: FallbackOptions = {},
): TransportFactory {
  if (ways.length === 0) throw new MessagingError("BAD_REQUEST", "fallback needs a transport");
  return {
    name: "fallback",
    open: (url, subprotocol, events) =>
      new Fallback({
        ...{ ways, timeoutMs, clock, events },
        notes: new Notes(memory, url),
        openWay: (way, own) => way.open(url, subprotocol, own),
      }),
  };
}

/** What is known of the ways to one server. */
class Notes {
  readonly #memory: SessionMemory;
  readonly #key: string;

  constructor(memory: SessionMemory, url: string) {
    this.#memory = memory;
    // A query may hold what is nobody's business.
    const { host, pathname } = beside(url, "");
    this.#key = `messageloop transport ${host}${pathname}`;
  }

  read(): Remembered | undefined {
    const [, times, name] = /^(\d+) (.+)$/.exec(this.#memory.getItem(this.#key) ?? "") ?? [];
    return name === undefined ? undefined : { name, times: Number(times) };
  }

  write({ name, times }: Remembered): void {
    this.#memory.setItem(this.#key, `${times} ${name}`);
  }

  forget(): void {
    this.#memory.removeItem(this.#key);
  }
}

interface FallbackTerms {
  readonly ways: readonly TransportFactory[];
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly events: TransportEvents;
  readonly notes: Notes;
  readonly openWay: (way: TransportFactory, events: TransportEvents) => Transport;
}

class Fallback implements Transport {
  readonly #terms: FallbackTerms;
  /** Those that have not been tried. */
  readonly #left: TransportFactory[];
  #way: TransportFactory | undefined;
  #transport: Transport | undefined;
  /** Counts the ways that were opened: nothing of an earlier one is heard. */
  #turn = 0;
  #isOpen = false;
  /** The server has said something. */
  #isThrough = false;
  #isClosed = false;
  /** How the first way has failed in this attempt, if it has. */
  #firstFailed: "ended" | "silent" | undefined;
  /** What was sent and may not have arrived. */
  #unheard: Frame[] = [];
  readonly #ends: TransportEnd[] = [];
  #stopTimer = (): void => {};

  /** @throws what opening the last way throws, where none can be opened */
  constructor(terms: FallbackTerms) {
    this.#terms = terms;
    const { notes, ways } = terms;
    const known = notes.read();
    const isBlocked = known !== undefined && known.times >= TIMES_BLOCKED;
    const first = isBlocked ? ways.filter(({ name }) => name === known.name) : [];
    this.#left = [...first, ...ways.filter((way) => !first.includes(way))];
    this.#next();
  }

  send(frame: Frame): void {
    if (!this.#isThrough) this.#unheard.push(frame);
    this.#transport?.send(frame);
  }

  ping(): void {
    this.#transport?.ping();
  }

  close(code: number, reason: string): void {
    this.#isClosed = true;
    this.#stopTimer();
    this.#transport?.close(code, reason);
  }

  /** @throws what opening the last way throws */
  #next(): void {
    const { clock, openWay, timeoutMs } = this.#terms;
    this.#stopTimer();
    this.#turn += 1;
    this.#way = this.#left.shift();
    if (this.#way === undefined) return;
    try {
      this.#transport = openWay(this.#way, this.#events(this.#turn));
    } catch (error) {
      // Such as a runtime without WebSocket.
      this.#transport = undefined;
      if (this.#left.length === 0) throw error;
      this.#failed("ended");
      this.#next();
      return;
    }
    if (this.#left.length > 0) {
      this.#stopTimer = clock.after(timeoutMs, () => this.#silent());
    }
  }

  #events(turn: number): TransportEvents {
    const { events } = this.#terms;
    const current = (run: () => void): void => {
      if (turn === this.#turn) run();
    };
    return {
      opened: () => current(() => this.#opened()),
      frame: (frame) =>
        current(() => {
          if (!this.#isThrough) this.#through();
          events.frame(frame);
        }),
      alive: () => current(() => events.alive()),
      ended: (end) => current(() => this.#ended(end)),
    };
  }

  #opened(): void {
    if (this.#isOpen) {
      for (const frame of this.#unheard) this.#transport?.send(frame);
      return;
    }
    this.#isOpen = true;
    this.#terms.events.opened();
  }

  /** The server has said something, whatever it is. */
  #through(): void {
    const { notes, ways } = this.#terms;
    this.#isThrough = true;
    this.#unheard = [];
    this.#stopTimer();
    const name = this.#way?.name ?? "";
    if (name === ways[0]?.name) notes.forget();
    else if (this.#firstFailed !== undefined) {
      const known = notes.read();
      const before = known?.name === name ? known.times : 0;
      const times = this.#firstFailed === "silent" ? TIMES_BLOCKED : before + 1;
      notes.write({ name, times });
    }
  }

  #silent(): void {
    // Some end while they are being closed, which is known already.
    this.#turn += 1;
    this.#transport?.close(1000, "no answer");
    this.#fail("silent", { code: LOST, reason: `${this.#way?.name} is silent` });
  }

  #ended(end: TransportEnd): void {
    const isServers = end.fatal || end.code !== LOST;
    if (this.#isThrough || this.#isClosed || isServers) this.#over(end);
    else this.#fail("ended", end);
  }

  #fail(how: "ended" | "silent", end: TransportEnd): void {
    this.#ends.push(end);
    this.#failed(how);
    try {
      this.#next();
    } catch (error) {
      this.#ends.push({ code: LOST, reason: MessagingError.from(error).message });
      this.#way = undefined;
    }
    if (this.#way === undefined) this.#over(this.#lastEnd());
  }

  #failed(how: "ended" | "silent"): void {
    const { notes, ways } = this.#terms;
    if (this.#way === ways[0]) this.#firstFailed = how;
    else if (this.#way?.name === notes.read()?.name) notes.forget();
  }

  /** Why none got through: by the first that says why, after the longest pause that any server asks for. */
  #lastEnd(): TransportEnd {
    const reason = this.#ends.map((end) => end.reason).find((text) => text !== "") ?? "";
    const retryAfterMs = Math.max(...this.#ends.map((end) => end.retryAfterMs ?? 0));
    return { code: LOST, reason, retryAfterMs };
  }

  #over(end: TransportEnd): void {
    this.#turn += 1;
    this.#stopTimer();
    this.#transport = undefined;
    this.#terms.events.ended(end);
  }
}
