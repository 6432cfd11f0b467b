/** The cursors on the board, by the names of those who move them. */

/** Each can be read on, and told from the ground, in light and dark. */
const COLOURS = [
  "#0f766e",
  "#1d4ed8",
  "#7e22ce",
  "#be123c",
  "#a04100",
  "#4d6b12",
  "#0e6b93",
  "#86198f",
];
const ARROW = "M1 1v15.5l4.2-4 2.8 6.4 3-1.3-2.8-6.3H14z";
const SVG = "http://www.w3.org/2000/svg";

export class Cursors {
  readonly #board: HTMLElement;
  readonly #me: string;
  readonly #elements = new Map<string, HTMLElement>();

  constructor(board: HTMLElement, me: string) {
    this.#board = board;
    this.#me = me;
  }

  /** Moves a cursor, which is made where there is none. */
  move(name: string, { x, y }: { readonly x: number; readonly y: number }): void {
    let element = this.#elements.get(name);
    if (element === undefined) {
      element = make(name, name === this.#me);
      this.#elements.set(name, element);
      this.#board.append(element);
    }
    element.style.left = `${x * 100}%`;
    element.style.top = `${y * 100}%`;
    // At the right edge the name stands to the left.
    element.classList.toggle("turned", x > 0.85);
  }

  /** Takes away those of people who have gone. */
  keep(present: ReadonlyMap<string, unknown>): void {
    for (const [name, element] of this.#elements) {
      if (name === this.#me || present.has(name)) continue;
      element.remove();
      this.#elements.delete(name);
    }
  }
}

function make(name: string, isMine: boolean): HTMLElement {
  const element = document.createElement("div");
  element.className = isMine ? "cursor mine" : "cursor";
  element.dataset["name"] = name;
  element.style.setProperty("--colour", colourOf(name));
  const arrow = document.createElementNS(SVG, "svg");
  arrow.setAttribute("viewBox", "0 0 16 20");
  arrow.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ARROW);
  arrow.append(path);
  const label = document.createElement("span");
  label.textContent = isMine ? "you" : name;
  element.append(arrow, label);
  return element;
}

function colourOf(name: string): string {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return `${COLOURS[sum % COLOURS.length]}`;
}
