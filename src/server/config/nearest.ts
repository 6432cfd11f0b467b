/** The name that may have been meant by one that there is not. */

/** The one of some names that is most like another, and how much, 0 to 1; undefined where there are none. */
export function nearest(
  name: string,
  names: Iterable<string>,
): { readonly name: string; readonly likeness: number } | undefined {
  const [first] = [...names]
    .map((other) => ({ name: other, likeness: likeness(name, other) }))
    .toSorted((left, right) => right.likeness - left.likeness);
  return first;
}

/** How much of two texts is the longest row of letters that both have in this order. */
function likeness(one: string, other: string): number {
  // Lengths of that row for the beginnings of both.
  let row = new Array<number>(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let at = 1; at <= other.length; at++) {
      const longer = letter === other[at - 1] ? (row[at - 1] ?? 0) + 1 : 0;
      next.push(Math.max(longer, row[at] ?? 0, next[at - 1] ?? 0));
    }
    row = next;
  }
  return (2 * (row[other.length] ?? 0)) / (one.length + other.length);
}
