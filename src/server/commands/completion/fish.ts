/** Completion in fish. */
import type { OptionWords, ProgramWords, ValueKind } from "./words.ts";

/** The script that completes a program in fish. */
export function fishScript({ name, options, commands }: ProgramWords): string {
  const first = quoted(
    `not __fish_seen_subcommand_from ${commands.map((one) => one.name).join(" ")}`,
  );
  const lines = [
    `# Completes ${name} in fish.`,
    `complete -c ${name} -f`,
    ...options.map((option) => `complete -c ${name} -n ${first} ${optionWords(option)}`),
    ...commands.flatMap((command) => {
      const after = quoted(`__fish_seen_subcommand_from ${command.name}`);
      return [
        `complete -c ${name} -n ${first} -a ${command.name} -d ${quoted(command.description)}`,
        ...command.options.map(
          (option) => `complete -c ${name} -n ${after} ${optionWords(option)}`,
        ),
        ...command.takes.flatMap((value) =>
          value.kind === "choice"
            ? [`complete -c ${name} -n ${after} -a ${quoted(value.choices.join(" "))}`]
            : [],
        ),
      ];
    }),
  ];
  return `${lines.join("\n")}\n`;
}

function optionWords({ short, long, description, value }: OptionWords): string {
  const flags = [...(short === undefined ? [] : [`-s ${short.slice(1)}`]), `-l ${long.slice(2)}`];
  return [...flags, ...valueWords(value), `-d ${quoted(description)}`].join(" ");
}

function valueWords(value: ValueKind): string[] {
  switch (value.kind) {
    case "choice":
      return [`-x -a ${quoted(value.choices.join(" "))}`];
    case "file":
      return ["-r -F"];
    case "text":
      return ["-x"];
    default:
      return [];
  }
}

/** A text in single quotes, in which fish reads a backslash. */
function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
