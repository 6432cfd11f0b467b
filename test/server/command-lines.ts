/**
 * Command lines one after the other in one process, each by the program's own module: a process takes longer to start than most
 * of them to say what is wrong. Prints their outcomes as JSON.
 */
import { pathToFileURL } from "node:url";

const [program = "", lines = ""] = process.argv.slice(2);
const [node = ""] = process.argv;
const { stdout, stderr } = process;
// Each run listens for readers that have gone.
for (const stream of [stdout, stderr]) stream.setMaxListeners(0);
const print = stdout.write.bind(stdout);

const outcomes = [];
for (const [index, args] of (JSON.parse(lines) as string[][]).entries()) {
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (text: string | Uint8Array): boolean => {
      printed[name] += text;
      return true;
    };
  }
  process.argv = [node, program, ...args];
  process.exitCode = undefined;
  // A module of its own for each: it runs while it is loaded.
  await import(`${pathToFileURL(program).href}?${index}`);
  outcomes.push({ code: process.exitCode ?? 0, ...printed });
}
process.exitCode = 0;
print(JSON.stringify(outcomes));
