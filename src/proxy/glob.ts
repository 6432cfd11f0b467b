/**
 * The original's route globs as small automata over units of UTF-16: `*` and `**` match any text, dots
 * included, `?` one unit, `[ab]`, `[a-z]` and `[!a]` one of a set, `{x,y}` one of several, and a
 * backslash takes the next character as it is. They are automata and no expressions, so that they can be
 * compared with patterns of channels; `reach.ts` does that.
 */
import { MessagingError } from "../protocol/errors.ts";

/** Units from the first to the last, both included. */
export interface UnitRange {
  readonly first: number;
  readonly last: number;
}

/** What one step takes. */
export interface UnitSet {
  readonly ranges: readonly UnitRange[];
  /** All units but these. */
  readonly negated: boolean;
}

/** A place in a glob. */
export interface GlobNode {
  /** Places that are reached without taking anything. */
  readonly free: number[];
  /** The step from here, if there is one. */
  step: { readonly takes: UnitSet; readonly to: number } | undefined;
}

const ANY: UnitSet = { ranges: [], negated: true };

/** Units whose steps are remembered, the first so many: what texts are made of mostly. */
const REMEMBERED = 128;
/** States that a glob remembers. Usual ones have a few. */
const MAX_REMEMBERED_STATES = 256;

/** Where a glob is after a part of a text. */
interface State {
  readonly places: readonly number[];
  /** Whether the text may end here. */
  readonly ends: boolean;
  /** By unit, as far as it was met. */
  readonly next: (State | undefined)[];
}

/**
 * @example
 * new Glob("chat.*").test("chat.room"); // true
 */
export class Glob {
  /** The first is where a text begins. */
  readonly nodes: readonly GlobNode[];
  /** The node in which a text has to end. */
  readonly end: number;
  /** By places. A client chooses the texts, and none of them may cost more than to be read. */
  readonly #states = new Map<string, State>();
  readonly #start: State;

  /** @throws MessagingError BAD_REQUEST for a glob that does not end what it opens */
  constructor(glob: string) {
    const builder = new Builder(glob);
    builder.build();
    this.nodes = builder.nodes;
    this.end = builder.at;
    this.#start = this.#state(closure(this.nodes, [0]));
  }

  /** Whether a whole text is matched. */
  test(text: string): boolean {
    let state = this.#start;
    for (let i = 0; i < text.length && state.places.length > 0; i++) {
      const unit = text.charCodeAt(i);
      state = state.next[unit] ?? this.#next(state, unit);
    }
    return state.ends;
  }

  #next(state: State, unit: number): State {
    const next = this.#state(advance(this.nodes, state.places, unit));
    if (unit < REMEMBERED) state.next[unit] = next;
    return next;
  }

  #state(places: readonly number[]): State {
    const key = places.join();
    let state = this.#states.get(key);
    if (state === undefined) {
      state = { places, ends: places.includes(this.end), next: [] };
      if (this.#states.size < MAX_REMEMBERED_STATES) this.#states.set(key, state);
    }
    return state;
  }
}

/** The places that one unit leads to, ascending. */
export function advance(
  nodes: readonly GlobNode[],
  places: readonly number[],
  unit: number,
): readonly number[] {
  const next: number[] = [];
  for (const place of places) {
    const step = nodes[place]?.step;
    if (step !== undefined && takes(step.takes, unit)) next.push(step.to);
  }
  return closure(nodes, next);
}

/** Places and all that can be reached from them without taking anything, ascending. */
export function closure(nodes: readonly GlobNode[], places: readonly number[]): readonly number[] {
  const found = new Set(places);
  // A set may grow while it is iterated, and new ones come last.
  for (const place of found) for (const next of nodes[place]?.free ?? []) found.add(next);
  return [...found].sort((left, right) => left - right);
}

function takes({ ranges, negated }: UnitSet, unit: number): boolean {
  return ranges.some(({ first, last }) => first <= unit && unit <= last) !== negated;
}

class Builder {
  readonly nodes: GlobNode[] = [];
  /** Where the glob is after what was read. */
  at: number;
  readonly #glob: string;
  /** Braces that are open: where they began and where all their branches end. */
  readonly #open: { readonly from: number; readonly end: number }[] = [];

  constructor(glob: string) {
    this.#glob = glob;
    this.at = this.#node();
  }

  build(): void {
    const glob = this.#glob;
    for (let i = 0; i < glob.length; i++) {
      const character = glob[i] as string;
      const group = this.#open.at(-1);
      if (character === "\\") {
        i += 1;
        if (i === glob.length) throw bad(glob, "ends in a backslash");
        this.#take(exactly(glob, i));
      } else if (character === "*") this.#takeAnyText();
      else if (character === "?") this.#take(ANY);
      else if (character === "[") i = this.#takeOneOf(i);
      else if (character === "{") {
        this.#open.push({ from: this.at, end: this.#node() });
        this.#branch(this.at);
      } else if (character === "}" && group !== undefined) {
        this.#free(this.at, group.end);
        this.at = group.end;
        this.#open.pop();
      } else if (character === "," && group !== undefined) {
        this.#free(this.at, group.end);
        this.#branch(group.from);
      } else this.#take(exactly(glob, i));
    }
    if (this.#open.length > 0) throw bad(glob, "has an open brace");
  }

  #take(takes: UnitSet): void {
    const to = this.#node();
    (this.nodes[this.at] as GlobNode).step = { takes, to };
    this.at = to;
  }

  #takeAnyText(): void {
    const loop = this.#node();
    this.#free(this.at, loop);
    (this.nodes[loop] as GlobNode).step = { takes: ANY, to: loop };
    this.at = this.#node();
    this.#free(loop, this.at);
  }

  /** Takes a set in brackets. Returns where it ends. */
  #takeOneOf(start: number): number {
    const glob = this.#glob;
    // A bracket that comes first is one of the set.
    const end = glob.indexOf("]", start + 2);
    if (end < 0) throw bad(glob, "has an open bracket");
    const negated = glob[start + 1] === "!";
    const ranges: UnitRange[] = [];
    for (let i = start + (negated ? 2 : 1); i < end; i++) {
      const first = glob.charCodeAt(i);
      const spans = glob[i + 1] === "-" && i + 2 < end;
      const last = spans ? glob.charCodeAt(i + 2) : first;
      if (last < first) throw bad(glob, "has a set that is no range");
      ranges.push({ first, last });
      if (spans) i += 2;
    }
    this.#take({ ranges, negated });
    return end;
  }

  /** Goes on with another way from a place. */
  #branch(from: number): void {
    this.at = this.#node();
    this.#free(from, this.at);
  }

  #free(from: number, to: number): void {
    this.nodes[from]?.free.push(to);
  }

  #node(): number {
    return this.nodes.push({ free: [], step: undefined }) - 1;
  }
}

function exactly(text: string, index: number): UnitSet {
  const unit = text.charCodeAt(index);
  return { ranges: [{ first: unit, last: unit }], negated: false };
}

function bad(glob: string, why: string): MessagingError {
  return new MessagingError("BAD_REQUEST", `the pattern ${glob} ${why}`);
}
