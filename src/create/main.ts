/** The command: takes what is given, asks for the rest where there is a person to ask, and makes the project. */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { Failure } from "./failure.ts";
import { createProject } from "./project.ts";
import { TEMPLATES, type Template, templateNamed } from "./templates.ts";

const DEFAULT_FOLDER = "messageloop-app";
const WIDTH = Math.max(...TEMPLATES.map(({ name }) => name.length));

const HELP = `Usage: npm create messageloop -- [folder] [options]

Makes a project out of a template. On a terminal it asks for what is not given.

Options:
  -t, --template <name>  ${TEMPLATES.map(({ name }) => name).join(", ")}
  -n, --name <name>      the project's name (default: that of the folder)
  -h, --help             show this help
  -v, --version          show the version

Templates:
${TEMPLATES.map(({ name, about }) => `  ${name.padEnd(WIDTH)}  ${about}`).join("\n")}

Exit codes: 0 when the project is made; 1 when it cannot be written; 2 when what was given is wrong.

Example:
  npm create messageloop -- my-app --template chat
`;

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Shows some lines to a person, and asks; undefined where there is no person. */
type Ask = ((question: string, before?: string) => Promise<string>) | undefined;

/** @throws Failure where no project is made */
export async function main(args: readonly string[], terminal: Terminal): Promise<void> {
  const { output } = terminal;
  const { values, positionals } = parsed(args);
  if (values.help) output.write(HELP);
  else if (values.version) output.write(`${version()}\n`);
  else {
    const { name } = values;
    // What is wrong is said before anything is asked.
    const given = values.template === undefined ? undefined : templateNamed(values.template);
    const { folder, template } = await withPerson(terminal, async (ask) => ({
      folder: positionals[0] ?? (await askFolder(ask)),
      template: given ?? (await askTemplate(ask)),
    }));
    await createProject({ folder, template, ...(name !== undefined && { name }) });
    output.write(told(folder, template));
  }
}

function parsed(args: readonly string[]) {
  try {
    const found = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        template: { type: "string", short: "t" },
        name: { type: "string", short: "n" },
        help: { type: "boolean", short: "h", default: false },
        version: { type: "boolean", short: "v", default: false },
      },
    });
    if (found.positionals.length <= 1) return found;
  } catch (error) {
    // What follows is advice in the words of Node.
    const [sentence = ""] = (error as Error).message.split(/\.\s/);
    throw new Failure("BAD_ARGUMENTS", `${sentence}; --help shows the options`);
  }
  throw new Failure("BAD_ARGUMENTS", "more than one folder is named; --help shows the options");
}

/** Runs something with a way to ask, if input and output are a terminal. */
async function withPerson<Result>(
  { input, output }: Terminal,
  run: (ask: Ask) => Promise<Result>,
): Promise<Result> {
  if (!input.isTTY || !output.isTTY) return await run(undefined);
  const lines = createInterface({ input, output });
  const cancelled = new AbortController();
  // The end of input, or Ctrl-C: a question would never be answered.
  lines.once("close", () => cancelled.abort());
  lines.once("SIGINT", () => lines.close());
  try {
    return await run((question, before = "") => {
      output.write(before);
      return lines.question(question, { signal: cancelled.signal });
    });
  } catch (error) {
    if (!cancelled.signal.aborted) throw error;
    output.write("\n");
    throw new Failure("CANCELLED", "nothing was made");
  } finally {
    lines.close();
  }
}

async function askFolder(ask: Ask): Promise<string> {
  if (ask === undefined) {
    throw new Failure("FOLDER_MISSING", "name the project's folder; --help shows how");
  }
  return (await ask(`Folder (${DEFAULT_FOLDER}): `)).trim() || DEFAULT_FOLDER;
}

async function askTemplate(ask: Ask): Promise<Template> {
  const names = TEMPLATES.map(({ name }) => name).join(", ");
  if (ask === undefined) {
    throw new Failure("TEMPLATE_MISSING", `name a template by --template: ${names}`);
  }
  const choices = TEMPLATES.map(
    ({ name, about }, at) => `  ${at + 1}  ${name.padEnd(WIDTH)}  ${about}\n`,
  );
  const answer = (await ask("Template (1): ", choices.join(""))).trim() || "1";
  return TEMPLATES[Number(answer) - 1] ?? templateNamed(answer);
}

/** What to do next. */
function told(folder: string, { name, needs }: Template): string {
  const place = relative("", folder) || ".";
  const lines = [
    `${place} is made from the template ${name}.`,
    ...(needs === undefined ? [] : [`It needs ${needs}`]),
    "",
    ...(place === "." ? [] : [`  cd ${place}`]),
    "  npm install",
    "  npm start",
  ];
  return `${lines.join("\n")}\n`;
}

function version(): string {
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version;
}
