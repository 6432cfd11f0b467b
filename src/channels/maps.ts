/** What is made when it is first asked for, and for each of some keys. */

/** The part of a Map that is used; a WeakMap and a PatternMap have it as well. */
interface MapLike<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): unknown;
}

/**
 * What a map has for a key, made where it has nothing.
 *
 * @example
 * const lane = made(lanes, name, () => new Lane(name));
 */
export function made<Key, Value>(
  map: MapLike<Key, Value>,
  key: Key,
  make: () => NoInfer<Value>,
): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** A value for each of some keys. */
export function recordOf<Key extends string, Value>(
  keys: readonly Key[],
  make: (key: Key) => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<Key, Value>;
}
