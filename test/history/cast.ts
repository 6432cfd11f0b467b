/** Who takes part in a random life. */
import type { Encoding } from "../../src/protocol/codec.ts";
import type { Grade } from "./facts.ts";

export interface ListenerPart {
  readonly name: string;
  readonly encoding: Encoding;
  readonly grade: Grade;
  readonly pattern: string | undefined;
}

/** Those of each encoding that have no pattern. */
const EXACT: readonly Grade[] = ["recovery", "recovery", "extended"];

/** @param patterns whether some of them have one */
export function listeners(patterns: boolean): ListenerPart[] {
  return (["json", "proto"] as const).flatMap((encoding) => {
    const part = (grade: Grade, name: string, pattern?: string): ListenerPart => {
      const its = patterns ? pattern : undefined;
      return { name: `${encoding}-${name}`, encoding, grade, pattern: its };
    };
    return [
      ...EXACT.map((grade, index) => part(grade, `${grade}-${index}`)),
      part("recovery", "pattern", "life.*"),
      // When it has left its pattern it is like any other.
      encoding === "json" ? part("v1", "v1") : part("v1", "v1-pattern", "life.**"),
    ];
  });
}

export function writers(): { name: string; user: string; encoding: Encoding; extended: boolean }[] {
  return [
    { name: "ann-1", user: "ann", encoding: "json", extended: true },
    { name: "ann-2", user: "ann", encoding: "proto", extended: true },
    { name: "bob-1", user: "bob", encoding: "proto", extended: true },
    { name: "bob-2", user: "bob", encoding: "json", extended: true },
    { name: "cid-1", user: "cid", encoding: "json", extended: true },
    { name: "ann-3", user: "ann", encoding: "json", extended: false },
    { name: "dan-1", user: "dan", encoding: "proto", extended: false },
  ];
}
