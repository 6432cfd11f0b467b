/** Patterns of several tabs that share a connection. */

/** Whether a channel may be that both patterns stand for. */
export function overlap(one: string, other: string): boolean {
  return meet(one.split("."), other.split("."));
}

function meet(one: readonly string[], other: readonly string[]): boolean {
  const [a, ...restOfOne] = one;
  const [b, ...restOfOther] = other;
  // It is the last word, and stands for any number of them.
  if (a === "**" || b === "**") return true;
  if (a === undefined || b === undefined) return a === b;
  return (a === b || a === "*" || b === "*") && meet(restOfOne, restOfOther);
}
