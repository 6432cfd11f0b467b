/** Searching by halving. */

/**
 * The first whole number in [from, end) for which something is so, or `end`. It is so for all after the first.
 *
 * @example
 * const at = firstWhere(0, names.length, (index) => names[index] > name);
 */
export function firstWhere(from: number, end: number, isSo: (at: number) => boolean): number {
  let [low, high] = [from, end];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isSo(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
