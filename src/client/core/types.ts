/** What channels carry, as types and as schemas. Types only. */

/**
 * What a channel carries, by the names and patterns of an application's table. A name stands above patterns; what no entry
 * is for is `unknown`.
 *
 * @example
 * type Channels = { "chat.*": ChatMessage; "news": Article };
 * type Data = DataOf<Channels, "chat.7">; // ChatMessage
 */
export type DataOf<Channels, Name extends string> = Name extends keyof Channels
  ? Channels[Name]
  : Unless<ByPattern<Channels, Name>, unknown>;

type ByPattern<Channels, Name extends string> = {
  [Key in keyof Channels & string]: Name extends Template<Key> ? Channels[Key] : never;
}[keyof Channels & string];

/** A pattern as a template of text. */
type Template<Pattern extends string> = Pattern extends `${infer Head}.**`
  ? Template<Head> | `${Template<Head>}.${string}`
  : Pattern extends "*" | "**"
    ? string
    : Pattern extends `${infer Word}.${infer Rest}`
      ? `${Word extends "*" ? string : Word}.${Template<Rest>}`
      : Pattern;

type Unless<T, Otherwise> = [T] extends [never] ? Otherwise : T;

/** The part of Standard Schema (standardschema.dev) that is used: Zod, Valibot, ArkType and others have it. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** Schemas by channel and pattern. Their checks must not be asynchronous. */
export type Schemas<Channels> = {
  readonly [Key in keyof Channels & string]?: StandardSchema<Channels[Key]>;
};
