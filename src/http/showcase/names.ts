/** Names for visitors that have given none. */
const FIRST = [
  "Amber",
  "Brave",
  "Calm",
  "Clever",
  "Gentle",
  "Golden",
  "Happy",
  "Keen",
  "Lucky",
  "Merry",
  "Noble",
  "Quiet",
  "Rapid",
  "Silver",
  "Sunny",
  "Swift",
];
const LAST = [
  "Badger",
  "Crane",
  "Dolphin",
  "Falcon",
  "Finch",
  "Fox",
  "Heron",
  "Lynx",
  "Marten",
  "Otter",
  "Owl",
  "Panda",
  "Raven",
  "Seal",
  "Swan",
  "Tern",
];

/** Hardly ever the same twice. */
export function someName(): string {
  return `${pick(FIRST)} ${pick(LAST)} ${10 + Math.floor(Math.random() * 90)}`;
}

function pick(names: readonly string[]): string {
  return `${names[Math.floor(Math.random() * names.length)]}`;
}
