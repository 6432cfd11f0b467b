#!/usr/bin/env node
/** `npm create messageloop`. */
import { Failure } from "./failure.ts";
import { main } from "./main.ts";

const EXIT_FAILED = 1;
const EXIT_WRONG = 2;

try {
  await main(process.argv.slice(2), { input: process.stdin, output: process.stdout });
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`create-messageloop: ${error.code}: ${error.message}\n`);
  process.exitCode = error.code === "CANNOT_WRITE" ? EXIT_FAILED : EXIT_WRONG;
}
