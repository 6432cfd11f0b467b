/** A key for trying things out: made once for a folder, in a file that only its owner reads. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hex, type MadeKey, USUAL_RIGHTS } from "../../http/keys/key.ts";
import { StartError } from "../start-error.ts";
import { makeKey, sha256 } from "./keys.ts";

/** Git ignores it. */
export const DEV_KEY_FILE = ".messageloop-dev-key";
const OWNER_ONLY = 0o600;
const KEY = /^ml_dev_[\w-]{22,}$/;

/**
 * The key of a folder, for everything. It is made where there is none yet.
 *
 * @throws StartError where the file cannot be had, or holds something else
 */
export async function devKey(folder: string): Promise<MadeKey> {
  const file = join(folder, DEV_KEY_FILE);
  const fresh = makeKey({ id: "dev", rights: USUAL_RIGHTS, patterns: ["**"] });
  try {
    // The second process finds what the first has written.
    await writeFile(file, `${fresh.key}\n`, { mode: OWNER_ONLY, flag: "wx" });
    return fresh;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") throw new StartError(`${file} cannot be written: ${message}`);
  }
  const key = await found(file);
  return { key, entry: { ...fresh.entry, digest: hex(await sha256(key)) } };
}

async function found(file: string): Promise<string> {
  let key: string;
  try {
    await chmod(file, OWNER_ONLY);
    key = (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new StartError(`${file} cannot be read: ${(error as Error).message}`);
  }
  // Nothing of it is repeated: it may be a key of another kind.
  if (!KEY.test(key)) throw new StartError(`${file} holds no key of ours: remove it`);
  return key;
}
