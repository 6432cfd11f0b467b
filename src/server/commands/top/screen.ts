/** A terminal whose whole screen is drawn again and again, and that is as it was afterwards. */
import type { WriteStream } from "node:tty";
import type { Line } from "./table.ts";

const ESC = "\u001b[";
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
const PLAIN = `${ESC}0m`;
const STYLES: Readonly<Record<Line["kind"], string>> = {
  head: `${ESC}1m`,
  node: "",
  problem: `${ESC}31m`,
  total: `${ESC}2m`,
};

/** Whether a stream is a terminal that can move its cursor. */
export function isScreen(stream: Pick<WriteStream, "isTTY">): boolean {
  return stream.isTTY === true && process.env["TERM"] !== "dumb";
}

/** Draws a table again and again at one place of a terminal. */
export class Screen {
  readonly #stream: WriteStream;
  readonly #colors: boolean;
  #entered = false;

  /** @param colors whether lines may have colours: not where NO_COLOR is set */
  constructor(stream: WriteStream, colors: boolean) {
    this.#stream = stream;
    this.#colors = colors;
    // However the process ends, but by a signal that nothing hears.
    process.on("exit", () => this.leave());
  }

  /** Draws lines over what was there; those that have no room are left out. */
  draw(lines: readonly Line[]): void {
    const { rows } = this.#stream;
    const seen = lines.slice(0, Math.max(rows - 1, 1)).map((line) => this.#styled(line));
    const enter = this.#entered ? "" : ENTER;
    this.#entered = true;
    // A line is cleared before it is written: after one as wide as the screen the cursor stands on its last character.
    this.#stream.write(
      `${enter}${ESC}H${seen.map((text) => `${ESC}K${text}\r\n`).join("")}${ESC}J`,
    );
  }

  leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#stream.write(LEAVE);
  }

  #styled({ kind, text }: Line): string {
    const style = this.#colors ? STYLES[kind] : "";
    return style === "" ? text : `${style}${text}${PLAIN}`;
  }
}
