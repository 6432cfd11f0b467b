/** Folders with the packages as npm packs them, as one who reads the documents has them. */
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { manifestOf, packInto, root, run } from "../../test/support/packed.ts";

/** Packs into a folder, and puts the packages with all that they import into its `node_modules`. */
export async function install(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  const bin = join(modules, ".bin");
  await mkdir(bin, { recursive: true });
  for (const { name, filename } of await packInto(folder)) {
    run("tar", folder, "-xzf", filename);
    await rename(join(folder, "package"), join(modules, name));
    const { bin: commands = {} } = await manifestOf(join(modules, name));
    for (const [command, file] of Object.entries(commands)) {
      await chmod(join(modules, name, file), 0o755);
      await symlink(join("..", name, file), join(bin, command));
    }
  }
  await link(join(root, "node_modules"), modules);
  await link(join(root, "node_modules/.bin"), bin);
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
}

/** All that is in a folder of modules and not in the other one yet. */
async function link(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    const place = join(to, name);
    if (!existsSync(place)) await symlink(join(from, name), place);
  }
}
