/**
 * `messageloop/protobuf`: the codec of protobuf.
 *
 * @example
 * import { dial } from "messageloop";
 * import { protobuf } from "messageloop/protobuf";
 * const client = await dial(url, { encoding: protobuf });
 */
export { protobuf } from "./codec.ts";
