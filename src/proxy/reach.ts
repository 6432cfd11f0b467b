/**
 * Which of several globs decide about the channels that a pattern stands for, where the first glob that
 * matches a channel decides about it. Decided for all channels at once: the globs run side by side as one
 * automaton, and the pattern says which texts they are run on.
 */
import { readPattern } from "../channels/patterns.ts";
import { advance, closure, type Glob, type GlobNode, type UnitRange } from "./glob.ts";

/** States that the globs may have together. Usual ones have some tens. */
const MAX_STATES = 4_096;
/** Pairs of a place in the pattern and a state of the globs that one question may visit. */
const MAX_VISITED = 20_000;
const DOT = ".".charCodeAt(0);
const LAST_UNIT = 0xffff;

/** What one place of a pattern takes: one unit, one that is no dot, or any number of those. */
type Token = number | "some" | "more";

export class Reach {
  readonly #nodes: GlobNode[] = [];
  /** The node in which each glob ends, by the order of the globs. */
  readonly #ends: number[] = [];
  /** First units of the classes that no glob distinguishes; the dot has one for itself. */
  readonly #classes: readonly number[];
  /** One unit for each class, or undefined where no channel has one of it. */
  readonly #samples: readonly (number | undefined)[];
  readonly #byPlaces = new Map<string, State>();
  readonly #start: State | undefined;

  /** @param globs those that come first decide first */
  constructor(globs: readonly Glob[]) {
    const starts: number[] = [];
    for (const { nodes, end } of globs) {
      const base = this.#nodes.length;
      starts.push(base);
      this.#ends.push(base + end);
      for (const { free, step } of nodes) {
        this.#nodes.push({
          free: free.map((to) => base + to),
          step: step && { takes: step.takes, to: base + step.to },
        });
      }
    }
    this.#classes = classesOf(this.#nodes);
    this.#samples = this.#classes.map((first, index) =>
      sampleOf(first, (this.#classes[index + 1] ?? LAST_UNIT + 1) - 1),
    );
    this.#start = this.#state(closure(this.#nodes, starts));
  }

  /**
   * The globs, by their places in the list, that decide about at least one channel of a pattern. Undefined
   * where that is too much to be found out; then it may be any of them. As with `overlaps`, a channel may
   * be one of more than 255 bytes.
   */
  of(pattern: string): ReadonlySet<number> | undefined {
    const { tokens, open } = this.#tokensOf(pattern);
    // After the last token: the end, then a dot that begins a further word, then that word.
    const end = tokens.length;
    const found = new Set<number>();
    const visited = new Set<number>();
    const waiting: [at: number, state: State | undefined][] = [[0, this.#start]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [at, state] = next;
      if (state === undefined) return undefined;
      const key = at * MAX_STATES + state.id;
      if (visited.has(key)) continue;
      if (visited.size === MAX_VISITED) return undefined;
      visited.add(key);
      if (at === end || at === end + 2) {
        if (state.decides !== undefined) found.add(state.decides);
        if (open) waiting.push([end + 1, this.#next(state, this.#classOf(DOT))]);
      }
      const token = at < end ? tokens[at] : at === end + 1 ? "some" : at > end ? "more" : undefined;
      if (typeof token === "number") {
        waiting.push([at + 1, this.#next(state, this.#classOf(token))]);
      } else if (token !== undefined) {
        if (token === "more" && at < end) waiting.push([at + 1, state]);
        const to = token === "some" ? at + 1 : at;
        for (const after of this.#nextInWord(state)) waiting.push([to, after]);
      }
    }
    return found;
  }

  #tokensOf(pattern: string): { tokens: Token[]; open: boolean } {
    const { words, end } = readPattern(pattern);
    const tokens: Token[] = [];
    // Every channel has a word, so that `**` says no more than `*.**`.
    for (const word of words.length === 0 ? ["*"] : words) {
      if (tokens.length > 0) tokens.push(DOT);
      if (word === "*") tokens.push("some", "more");
      else for (let i = 0; i < word.length; i++) tokens.push(word.charCodeAt(i));
    }
    return { tokens, open: end === "open" };
  }

  /** The states that units other than a dot lead to, each once. */
  #nextInWord(state: State): Iterable<State | undefined> {
    const dot = this.#classOf(DOT);
    const states = new Set<State | undefined>();
    for (const [index, sample] of this.#samples.entries()) {
      if (index !== dot && sample !== undefined) states.add(this.#next(state, index));
    }
    return states;
  }

  #next(state: State, index: number): State | undefined {
    const known = state.next[index];
    if (known !== undefined) return known;
    const unit = this.#samples[index] ?? this.#classes[index] ?? 0;
    const made = this.#state(advance(this.#nodes, state.places, unit));
    state.next[index] = made;
    return made;
  }

  /** Undefined where there would be too many. */
  #state(places: readonly number[]): State | undefined {
    const key = places.join(",");
    let state = this.#byPlaces.get(key);
    if (state === undefined) {
      if (this.#byPlaces.size === MAX_STATES) return undefined;
      const decides = this.#ends.findIndex((end) => places.includes(end));
      state = {
        id: this.#byPlaces.size,
        places,
        decides: decides < 0 ? undefined : decides,
        next: [],
      };
      this.#byPlaces.set(key, state);
    }
    return state;
  }

  #classOf(unit: number): number {
    let [low, high] = [0, this.#classes.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#classes[middle] ?? 0) <= unit) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Where all globs are after a text. */
interface State {
  readonly id: number;
  readonly places: readonly number[];
  /** The first glob that the text matches. */
  readonly decides: number | undefined;
  /** By the class of the next unit, as far as it was asked for. */
  readonly next: (State | undefined)[];
}

/** The first units of all classes, ascending. */
function classesOf(nodes: readonly GlobNode[]): number[] {
  const cuts = new Set([0, DOT, DOT + 1]);
  for (const { step } of nodes) {
    for (const { first, last } of step?.takes.ranges ?? []) {
      cuts.add(first);
      if (last < LAST_UNIT) cuts.add(last + 1);
    }
  }
  return [...cuts].sort((left, right) => left - right);
}

/** A unit between two, both included, that a channel may have: no control character. */
function sampleOf(first: number, last: number): number | undefined {
  const control: readonly UnitRange[] = [
    { first: 0x00, last: 0x1f },
    { first: 0x7f, last: 0x9f },
  ];
  let unit = first;
  for (const range of control) {
    if (range.first <= unit && unit <= range.last) unit = range.last + 1;
  }
  return unit <= last ? unit : undefined;
}
