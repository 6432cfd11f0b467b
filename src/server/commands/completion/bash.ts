/** Completion in bash, 3.2 or newer. */
import { type CommandWords, type OptionWords, type ProgramWords, quoted } from "./words.ts";

/** The script that completes a program in bash. */
export function bashScript({ name, options, commands }: ProgramWords): string {
  const fn = `_${name}`;
  const cases = commands.map((command) => commandCase(command)).join("\n");
  const names = commands.map((command) => command.name);
  return `# Completes ${name} in bash: source it, or put it where bash-completion looks for it.
${fn}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= words= takes=text at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      -*) ;;
      *) command=\${COMP_WORDS[at]}; break ;;
    esac
  done
  COMPREPLY=()
  case $command in
    '')
      words=${quoted([...names, ...flagsOf(options)].join(" "))} ;;
${cases}
    *) return ;;
  esac
  case $takes in
    file)
      compopt -o filenames 2>/dev/null
      while IFS= read -r at; do COMPREPLY+=("$at"); done < <(compgen -f -- "$current")
      return ;;
    nothing) return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F ${fn} ${name}
`;
}

/** What may follow: after an option that takes a value that value, else an option or what the command takes. */
function commandCase({ name, options, takes }: CommandWords): string {
  const choices = takes.flatMap((value) => (value.kind === "choice" ? value.choices : []));
  const cases = [
    ...options.filter(({ value }) => value.kind !== "nothing").map(valueCase),
    `*) words=${quoted(flagsOf(options).join(" "))} ;;`,
  ];
  const chosen = `\n      [[ $words != -* || $current == -* ]] || words=${quoted(choices.join(" "))}`;
  return `    ${name})
      case $previous in
${cases.map((line) => `        ${line}\n`).join("")}      esac${choices.length === 0 ? "" : chosen} ;;`;
}

function valueCase({ short, long, value }: OptionWords): string {
  const flags = [short, long].filter((flag) => flag !== undefined).join("|");
  if (value.kind === "choice") return `${flags}) words=${quoted(value.choices.join(" "))} ;;`;
  return `${flags}) takes=${value.kind === "file" ? "file" : "nothing"} ;;`;
}

function flagsOf(options: readonly OptionWords[]): string[] {
  return options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
}
