/**
 * Values by pattern, and which of them are meant by a channel. Patterns are kept as a trie by words,
 * so that a look-up costs by the words of the channel and not by the number of patterns. What the
 * grammar of patterns is, patterns.ts says.
 */
import { type PatternEnd, readPattern } from "./patterns.ts";
import { SmallMap } from "./small-map.ts";

/**
 * Look-ups that one generation of remembered ones holds, where a look-up counts once for itself and
 * once for every value that it found.
 */
const GENERATION = 4_096;
/** Counters of changes; a power of two. More of them mean that fewer changes are mistaken for others. */
const PLACES = 4_096;
const HASH_START = 0x811c9dc5;
const NONE = Symbol("no value");

/** A Map from pattern to value that can be asked which values a channel's patterns have. */
export class PatternMap<Value> {
  #size = 0;
  readonly #root = new Node<Value>();
  readonly #lookups = new Lookups<Value>();

  /** Patterns that have a value. */
  get size(): number {
    return this.#size;
  }

  get(pattern: string): Value | undefined {
    const value = this.#find(pattern);
    return value === NONE ? undefined : value;
  }

  has(pattern: string): boolean {
    return this.#find(pattern) !== NONE;
  }

  /** The pattern, or literal name, must be one that `patternProblem` finds nothing wrong with. */
  set(pattern: string, value: Value): void {
    const { words, end } = readPattern(pattern);
    let node = this.#root;
    for (const word of words) node = node.grow(word);
    if (node[end] === NONE) this.#size += 1;
    node[end] = value;
    this.#lookups.outdate(words);
  }

  /** Returns whether it was there. */
  delete(pattern: string): boolean {
    const { words, end } = readPattern(pattern);
    if (!this.#root.prune(words, 0, end)) return false;
    this.#size -= 1;
    this.#lookups.outdate(words);
    return true;
  }

  /**
   * The values of all patterns that stand for a channel, each once, the most specific pattern first:
   * in the order of `bySpecificity`. The list must not be changed, and does not change with the map.
   *
   * Channels that are asked for again are remembered, the last few thousand of them, until a pattern
   * comes or goes that might concern them. What is not remembered costs a walk of the trie: at worst
   * all nodes that stand for a beginning of the channel, which are few unless many patterns mix `*`
   * and the channel's own words.
   */
  match(channel: string): readonly Value[] {
    const known = this.#lookups.get(channel);
    if (known !== undefined) return known;
    const words = wordsOf(channel);
    const values: Value[] = [];
    this.#root.collect(words, 0, values);
    this.#lookups.add(channel, words, values);
    return values;
  }

  /**
   * Patterns and their values, in no order to rely on. As with a Map, entries may go while it is
   * iterated; one that comes meanwhile may be met or not.
   */
  *[Symbol.iterator](): IterableIterator<[string, Value]> {
    yield* this.#root.entries([]);
  }

  #find(pattern: string): Value | typeof NONE {
    const { words, end } = readPattern(pattern);
    let node: Node<Value> | undefined = this.#root;
    for (const word of words) {
      node = node.next(word);
      if (node === undefined) return NONE;
    }
    return node[end];
  }
}

/**
 * Where the first words of a pattern lead: a map of the nodes that literal words lead to from here.
 * It is that map, rather than has one, because there may be millions of nodes, most of them leaves.
 */
class Node<Value> extends SmallMap<string, Node<Value>> {
  /** Where `*` leads. */
  star: Node<Value> | undefined;
  /** The value of the pattern that ends here. */
  closed: Value | typeof NONE = NONE;
  /** The value of the pattern that ends here with `**`. */
  open: Value | typeof NONE = NONE;

  next(word: string): Node<Value> | undefined {
    return word === "*" ? this.star : this.get(word);
  }

  /** The next node, which is made if there is none. */
  grow(word: string): Node<Value> {
    const known = this.next(word);
    if (known !== undefined) return known;
    const made = new Node<Value>();
    if (word === "*") this.star = made;
    else this.set(word, made);
    return made;
  }

  /** Takes a value away, and the nodes that nothing is left in. Returns whether it was there. */
  prune(words: readonly string[], at: number, end: PatternEnd): boolean {
    const word = words[at];
    if (word === undefined) {
      if (this[end] === NONE) return false;
      this[end] = NONE;
      return true;
    }
    const next = this.next(word);
    if (!next?.prune(words, at + 1, end)) return false;
    if (next.#isEmpty()) {
      if (word === "*") this.star = undefined;
      else this.delete(word);
    }
    return true;
  }

  /** Adds the values of all patterns that stand for the rest of a channel: what says more comes first. */
  collect(channel: readonly string[], at: number, values: Value[]): void {
    const word = channel[at];
    if (word !== undefined) {
      this.get(word)?.collect(channel, at + 1, values);
      this.star?.collect(channel, at + 1, values);
    } else if (this.closed !== NONE) values.push(this.closed);
    if (this.open !== NONE) values.push(this.open);
  }

  /** The patterns that begin with these words. */
  *entries(words: readonly string[]): IterableIterator<[string, Value]> {
    if (this.closed !== NONE) yield [words.join("."), this.closed];
    if (this.open !== NONE) yield [[...words, "**"].join("."), this.open];
    if (this.star !== undefined) yield* this.star.entries([...words, "*"]);
    for (const [word, next] of this) yield* next.entries([...words, word]);
  }

  #isEmpty(): boolean {
    return this.size === 0 && this.star === undefined && this.closed === NONE && this.open === NONE;
  }
}

/** `channel.split(".")`, which takes three times as long for a string that is split but once. */
function wordsOf(channel: string): string[] {
  const words: string[] = [];
  let start = 0;
  for (let dot = channel.indexOf("."); dot >= 0; dot = channel.indexOf(".", start)) {
    words.push(channel.slice(start, dot));
    start = dot + 1;
  }
  words.push(channel.slice(start));
  return words;
}

interface Lookup<Value> {
  readonly values: readonly Value[];
  /** Where changes that concern the channel are counted. */
  readonly places: readonly number[];
  /** Changes that were counted there. */
  readonly changes: number;
}

/**
 * The last look-ups of channels that were asked for more than once. They do not learn of a change, of
 * which a busy server has many; they find out when they are asked for. A change is counted under the
 * literal words that its pattern begins with, and a channel is concerned by no other changes than
 * those counted under the words that it begins with: `user.7.**` outdates what is below `user.7`, and
 * only a pattern that begins with a wildcard outdates everything. The counters are few, and shared by
 * hash; that can only outdate too much.
 */
class Lookups<Value> {
  /**
   * What the older generation has is lost when the younger one is full, unless it was asked for since:
   * near enough to the last ones used, at the price of no order to keep.
   */
  #younger = new Map<string, Lookup<Value>>();
  #older = new Map<string, Lookup<Value>>();
  #room = GENERATION;
  /** By place, the hash of the last channel that was not remembered. */
  readonly #missed = new Uint32Array(PLACES);
  readonly #changes = new Uint32Array(PLACES);

  get(channel: string): readonly Value[] | undefined {
    const young = this.#younger.get(channel);
    const lookup = young ?? this.#older.get(channel);
    if (lookup === undefined || lookup.changes !== this.#count(lookup.places)) return undefined;
    if (young === undefined) this.#keep(channel, lookup);
    return lookup.values;
  }

  add(channel: string, words: readonly string[], values: readonly Value[]): void {
    // A name that comes once would cost more to keep than it saves, and drive out a busy one.
    const hash = mix(HASH_START, channel) >>> 0;
    const place = placeOf(hash);
    if (this.#missed[place] !== hash) {
      this.#missed[place] = hash;
      return;
    }
    const places = placesOf(words);
    this.#keep(channel, { values, places, changes: this.#count(places) });
  }

  /** A pattern came, went or has a new value. */
  outdate(words: readonly string[]): void {
    const place = placesOf(words).at(-1) ?? 0;
    this.#changes[place] = (this.#changes[place] ?? 0) + 1;
  }

  #keep(channel: string, lookup: Lookup<Value>): void {
    this.#younger.set(channel, lookup);
    this.#room -= 1 + lookup.values.length;
    if (this.#room > 0) return;
    this.#older = this.#younger;
    this.#younger = new Map();
    this.#room = GENERATION;
  }

  /** Counters only grow, so that a sum is the same as long as none of them has changed. */
  #count(places: readonly number[]): number {
    let count = 0;
    for (const place of places) count += this.#changes[place] ?? 0;
    return count;
  }
}

/** The counters of all beginnings, from that of no words on, up to the first `*`. */
function placesOf(words: readonly string[]): number[] {
  let hash = HASH_START;
  const places = [placeOf(hash)];
  for (const word of words) {
    if (word === "*") break;
    hash = mix(hash, word);
    places.push(placeOf(hash));
  }
  return places;
}

function placeOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (PLACES - 1);
}

/** FNV-1a, by units of UTF-16. */
function mix(hash: number, text: string): number {
  let mixed = hash;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  return mixed;
}
