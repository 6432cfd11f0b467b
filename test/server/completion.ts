/** What shells offer with the scripts of `messageloop completion`, and what the help says that they have to. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A line that is begun, and what has to be offered for its last word, in any order. */
export interface Completion {
  readonly line: string;
  readonly offers: readonly string[];
}

/**
 * What the help of the program and of its commands comes to: every command, and every option of each.
 *
 * @param help prints the help of the program, and of commands
 */
export async function completionsOf(
  help: (...commands: readonly string[]) => Promise<readonly string[]>,
): Promise<Completion[]> {
  const [program = ""] = await help();
  const [, list = ""] = /\nCommands:\n((?: .*\n)+)/.exec(program) ?? [];
  const commands = [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name = ""]) => name);
  if (commands.length < 10) throw new Error("the help names no commands");
  const begun = commands.filter((name) => name.startsWith("c"));
  const others = commands.filter((name) => name !== "help");
  const [, ...texts] = await help(...others);
  const ofCommands = others.map((name, place): Completion => {
    const options = [...(texts[place] ?? "").matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)];
    return { line: `messageloop ${name} --`, offers: options.map(([, long = ""]) => long) };
  });
  return [
    { line: "messageloop c", offers: begun },
    ...ofCommands,
    { line: "messageloop check --host ", offers: ["server", "worker"] },
    { line: "messageloop serve --log-level w", offers: ["warn"] },
    { line: "messageloop completion ", offers: [...SHELLS] },
    // A value that nobody can guess.
    { line: "messageloop token --user ", offers: [] },
    { line: "messageloop serve --config fi", offers: ["file one.yaml", "file two.yaml"] },
  ];
}

/** What a shell offers, sorted. The folder that it is asked in has two files. */
export function offeredBy(shell: Shell, script: string, lines: readonly string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-completion-"));
  try {
    for (const name of ["file one.yaml", "file two.yaml"]) writeFileSync(join(folder, name), "");
    writeFileSync(join(folder, "script"), script);
    writeFileSync(join(folder, "asks"), ASKS[shell](lines));
    const options = { cwd: folder, encoding: "utf8", timeout: 60_000 } as const;
    const { status, stderr, error } = spawnSync(shell, [...FLAGS[shell], "asks"], options);
    if (status !== 0) throw new Error(`${shell} has failed: ${stderr || error}`);
    const answers = readFileSync(join(folder, "answers"), "utf8")
      // zsh adds a name as it is written in a command.
      .replaceAll("\\ ", " ")
      .split("= end\n")
      .slice(0, -1);
    return answers.map((answer) => [...new Set(answer.split("\n").slice(0, -1))].toSorted());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FLAGS: Readonly<Record<Shell, readonly string[]>> = {
  bash: ["--norc"],
  zsh: ["-f"],
  fish: ["--no-config"],
};

const ASKS: Readonly<Record<Shell, (lines: readonly string[]) => string>> = {
  bash: (lines) =>
    [
      "source ./script",
      ...lines.map((line) => {
        const words = line.split(" ");
        const list = words.map((word) => `'${word}'`).join(" ");
        return `COMP_WORDS=(${list}) COMP_CWORD=${words.length - 1}; _messageloop
for word in "\${COMPREPLY[@]}"; do printf '%s\\n' "$word"; done >> answers; echo '= end' >> answers`;
      }),
    ].join("\n"),
  fish: (lines) =>
    [
      "source ./script",
      ...lines.map((line) => `complete -C '${line}' | cut -f1 >> answers; echo '= end' >> answers`),
    ].join("\n"),
  // Completion is a part of its line editor, which wants a terminal: a second zsh has one, and notes what is added.
  zsh: (lines) => `
zmodload zsh/zpty
cat > inner <<'INNER'
PS1= ; autoload -U compinit; compinit -u -D; source ./script
compadd() {
  case " $* " in *' -O '*|*' -A '*|*' -D '*) builtin compadd "$@"; return ;; esac
  local -a found; builtin compadd -O found "$@"
  (( $#found )) && print -rl -- "\${found[@]}" >> answers
  builtin compadd "$@"
}
noted() { zle list-choices; print '= end' >> answers; BUFFER= ; }
zle -N noted; bindkey '^I' noted; LISTMAX=10000
touch ready
INNER
zpty shell zsh -f -i
zpty -w shell 'source ./inner'
wait_for() { local at; for at in {1..500}; do eval "$1" && return; sleep 0.02; zpty -rt shell _ 2>/dev/null; done; exit 1; }
wait_for '[[ -e ready ]]'
touch answers
count=0
${lines
  .map(
    (line) => `zpty -wn shell ${`'${line}'`}$'\\t'; (( count += 1 ))
wait_for '(( $(grep -c "^= end" answers) >= count ))'`,
  )
  .join("\n")}
zpty -d shell
`,
};
