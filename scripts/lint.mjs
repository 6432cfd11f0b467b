/** Everything that can be said about the source without running it. Reports all, then fails. */
import { start, startScript } from "./run.mjs";

// Beside each other: most of them keep one processor busy, and none needs what another one writes.
const checks = {
  // As many checkers as there are processors in CI: each finds out by itself what types are.
  types: start("tsc", "-b", "--checkers", "2"),
  biome: start("biome", "check", "--error-on-warnings", "."),
  "buf lint": start("buf", "lint"),
  "generated code": startScript("generate.mjs", "--check"),
  "OpenAPI document": startScript("openapi.mjs", "--check"),
  "wrangler types": start("wrangler", "types", "--check", "--strict-vars=false"),
};
const failed = [];
for (const [name, check] of Object.entries(checks)) {
  const { succeeded, output } = await check;
  if (output !== "") process.stdout.write(output);
  if (!succeeded) failed.push(name);
}
if (failed.length > 0) {
  console.error(`lint failed: ${failed.join(", ")}`);
  process.exit(1);
}
