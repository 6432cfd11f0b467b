/** SHA-256 by the Web's own means, for hosts that have no faster way. */
import { utf8Encode } from "../../protocol/utf8.ts";
import type { Sha256 } from "./key.ts";

export const webSha256: Sha256 = async (text) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", utf8Encode(text)));
