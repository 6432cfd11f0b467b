/** Completion in zsh: as a file `_messageloop` in `fpath`, or evaluated after `compinit`. */
import {
  type CommandWords,
  type OptionWords,
  type ProgramWords,
  quoted,
  type ValueKind,
} from "./words.ts";

/** The script that completes a program in zsh. */
export function zshScript({ name, options, commands }: ProgramWords): string {
  const fn = `_${name}`;
  const described = commands.map((one) => `    ${quoted(`${one.name}:${one.description}`)}`);
  return `#compdef ${name}
# Completes ${name} in zsh.
${fn}() {
  local curcontext=$curcontext state line
  local -a commands
  commands=(
${described.join("\n")}
  )
  _arguments -C ${options.flatMap(specs).join(" ")} '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe -t commands command commands ;;
    arguments)
      curcontext=\${curcontext%:*}-$line[1]:
      case $line[1] in
${commands.map(commandCase).join("\n")}
      esac ;;
  esac
}
if [[ $funcstack[1] == ${fn} ]]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`;
}

function commandCase({ name, options, takes }: CommandWords): string {
  const values = takes.map((value, at) => quoted(`${at + 1}: :${actionOf(value)}`));
  const all = [...options.flatMap(specs), ...values];
  return `        ${name}) _arguments ${all.join(" ")} ;;`;
}

/** An option may be given several times where it collects, and zsh does not mind where it does not. */
function specs({ short, long, description, value }: OptionWords): string[] {
  const text = `[${description.replaceAll(/[[\]\\:]/g, "\\$&")}]`;
  const after = value.kind === "nothing" ? "" : `: :${actionOf(value)}`;
  return [short, long].flatMap((flag) =>
    flag === undefined ? [] : [quoted(`*${flag}${text}${after}`)],
  );
}

function actionOf(value: ValueKind): string {
  if (value.kind === "choice") return `(${value.choices.join(" ")})`;
  return value.kind === "file" ? "_files" : " ";
}
