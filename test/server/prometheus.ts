/** A reader of the text format 0.0.4 of Prometheus, strict enough to refuse what a scraper would. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const SAMPLE = /^([a-z_]+)(?:\{(.+)\})? (\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;
const LABEL = /([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** @throws Error naming the first line that is not well formed or stands in the wrong place. */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const lines = text.slice(0, -1).split("\n");
  let family: Family | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    if (help !== null) {
      const [, name = "", words = ""] = help;
      const [, typed, type = ""] = /^# TYPE (\S+) (\w+)$/.exec(lines[++at] ?? "") ?? [];
      if (typed !== name || families.has(name)) throw new Error(`bad family: ${line}`);
      family = { name, type, help: words, samples: [] };
      families.set(name, family);
      continue;
    }
    const [, name = "", labels = "", value] = SAMPLE.exec(line) ?? [];
    const suffix = name.slice(family?.name.length ?? 0);
    const suffixes = family?.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    if (!name.startsWith(family?.name ?? "?") || !suffixes.includes(suffix)) {
      throw new Error(`bad sample: ${line}`);
    }
    family?.samples.push({ name, labels: parseLabels(labels), value: Number(value) });
  }
  return families;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`bad labels: ${text.slice(at)}`);
    const [, name = "", value = ""] = match;
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
  }
  return labels;
}
