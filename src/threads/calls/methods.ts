/** What threads call each other's objects by: one number for each method of each kind of object. */

/** Methods by kind of object, as the stubs of `objects/ports/calls.ts` have them. */
const METHODS = {
  channel: [
    "register",
    "publish",
    "read",
    "history",
    "removeHistory",
    "presence",
    "gateways",
    "hear",
  ],
  gateway: ["deliver", "call"],
  index: ["subscribe", "unsubscribe", "lease", "active"],
  user: ["update", "revoke", "sessions"],
  stats: ["report", "list", "count", "figures"],
  // Of the thread itself.
  thread: ["settled", "fence"],
} as const;

export type ObjectKind = keyof typeof METHODS;
export type MethodOf<Kind extends ObjectKind> = (typeof METHODS)[Kind][number];

export interface Method {
  readonly kind: ObjectKind;
  readonly name: string;
}

/** By their numbers. All threads run one program, so that the numbers may change with it. */
export const ALL_METHODS: readonly Method[] = Object.entries(METHODS).flatMap(([kind, names]) =>
  names.map((name) => ({ kind: kind as ObjectKind, name })),
);

export function methodNumber<Kind extends ObjectKind>(kind: Kind, name: MethodOf<Kind>): number {
  return ALL_METHODS.findIndex((method) => method.kind === kind && method.name === name);
}
