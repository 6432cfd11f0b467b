/** Nodes as a table of text, as wide as a terminal. */
import { shown } from "../output.ts";
import type { NodeFigures } from "./reading.ts";

/** Of a table for nobody's terminal, and the least that has room for every column. */
export const DEFAULT_WIDTH = 80;
const LEAST_WIDTH = 60;
/** Names of nodes are not spread further apart from their figures. */
const WIDEST_NODE = 40;
const COLUMN = 7;
const NONE = "-";

const COLUMNS: readonly (readonly [title: string, cell: (node: NodeFigures) => string])[] = [
  ["SESS", ({ sessions }) => count(sessions)],
  ["CHAN", ({ channels }) => count(channels)],
  ["PUB/S", ({ publicationsPerSecond }) => count(publicationsPerSecond)],
  ["DLV/S", ({ deliveriesPerSecond }) => count(deliveriesPerSecond)],
  ["MEM", ({ memoryBytes }) => bytes(memoryBytes)],
  ["LAG", ({ lagSeconds }) => lag(lagSeconds)],
];

export interface Line {
  readonly kind: "head" | "node" | "problem" | "total";
  readonly text: string;
}

/** A head, a line for each node, and their sum where there are several. No line is longer than the width, from 60 on. */
export function tableOf(nodes: readonly NodeFigures[], columns: number): Line[] {
  const width = Math.max(columns, LEAST_WIDTH);
  const room = Math.min(width - COLUMNS.length * COLUMN, WIDEST_NODE);
  const row = (name: string, cells: readonly string[]): string =>
    cut(name, room).padEnd(room) + cells.map((cell) => cell.padStart(COLUMN)).join("");
  const cells = (node: NodeFigures): string[] => COLUMNS.map(([, cell]) => cell(node));
  const lines = nodes.map((node): Line => {
    const name = shown(node.node);
    if (node.problem === undefined) return { kind: "node", text: row(name, cells(node)) };
    const text = `${cut(name, room).padEnd(room)}  ${shown(node.problem)}`;
    return { kind: "problem", text: cut(text, width) };
  });
  const head = row(
    "NODE",
    COLUMNS.map(([title]) => title),
  );
  const total = nodes.length > 1 ? [row("all", cells(sumOf(nodes)))] : [];
  return [
    { kind: "head", text: head },
    ...lines,
    ...total.map((text): Line => ({ kind: "total", text })),
  ];
}

/** What several nodes have together; of their lags the longest. */
function sumOf(nodes: readonly NodeFigures[]): NodeFigures {
  const sum = (read: (node: NodeFigures) => number | undefined): number | undefined => {
    const values = nodes.map(read).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : values.reduce((all, one) => all + one, 0);
  };
  const lags = nodes.flatMap(({ lagSeconds }) => lagSeconds ?? []);
  return {
    node: "",
    problem: undefined,
    sessions: sum(({ sessions }) => sessions),
    channels: sum(({ channels }) => channels),
    publicationsPerSecond: sum(({ publicationsPerSecond }) => publicationsPerSecond),
    deliveriesPerSecond: sum(({ deliveriesPerSecond }) => deliveriesPerSecond),
    memoryBytes: sum(({ memoryBytes }) => memoryBytes),
    lagSeconds: lags.length === 0 ? undefined : Math.max(...lags),
  };
}

const STEPS = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** At most six characters: `7.5`, `4321`, `12.3k`, `4.6M`. */
function count(value: number | undefined): string {
  if (value === undefined) return NONE;
  const [step, unit] = STEPS.find(([least]) => value >= 10 * least) ?? [1, ""];
  const scaled = value / step;
  return `${scaled < 100 && !Number.isInteger(scaled) ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}

function bytes(value: number | undefined): string {
  return value === undefined ? NONE : `${Math.round(value / 2 ** 20)}M`;
}

/** The bound of a bucket, which is all that is known. */
function lag(seconds: number | undefined): string {
  if (seconds === undefined) return NONE;
  if (seconds === Infinity) return ">60s";
  return seconds < 1 ? `<${Math.round(seconds * 1_000)}ms` : `<${seconds}s`;
}

function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}
