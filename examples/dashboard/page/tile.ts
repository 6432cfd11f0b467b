/** A number with its recent past as a line. */

export interface TileTerms {
  readonly channel: `dashboard.${string}`;
  readonly title: string;
  readonly unit: string;
  /** Digits after the point. */
  readonly digits: number;
}

interface Point {
  /** Unix milliseconds. */
  readonly time: number;
  readonly value: number;
  /** Nothing is known of the time before it. */
  readonly isAfterGap: boolean;
}

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 64;
/** Longer than this without a number is a hole, in milliseconds. */
const HOLE_MS = 5_000;

export class Tile {
  readonly channel: TileTerms["channel"];
  readonly element = document.createElement("section");
  readonly #terms: TileTerms;
  readonly #number = document.createElement("output");
  readonly #line = document.createElementNS(SVG, "svg");
  #points: Point[] = [];
  #isBroken = false;
  #drawn = 0;

  constructor(terms: TileTerms) {
    this.channel = terms.channel;
    this.#terms = terms;
    const title = document.createElement("h2");
    title.textContent = terms.title;
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = terms.unit;
    const figure = document.createElement("p");
    figure.className = "figure";
    this.#number.textContent = "–";
    // What changes each second is not to be read out each second.
    this.#number.setAttribute("aria-live", "off");
    figure.append(this.#number, " ", unit);
    this.#line.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#line.setAttribute("preserveAspectRatio", "none");
    this.#line.setAttribute("role", "img");
    this.element.append(title, figure, this.#line);
  }

  /** @param most how many numbers are shown */
  add({ time, value }: { readonly time: number; readonly value: number }, most: number): void {
    const last = this.#points.at(-1);
    const isAfterGap = this.#isBroken || (last !== undefined && time - last.time > HOLE_MS);
    this.#isBroken = false;
    this.#points.push({ time, value, isAfterGap });
    if (this.#points.length > most) this.#points.shift();
    // Many come in one go after a loss: one picture of them is enough.
    cancelAnimationFrame(this.#drawn);
    this.#drawn = requestAnimationFrame(() => this.#draw());
  }

  /** What comes next does not follow what was there before. */
  breakLine(): void {
    this.#isBroken = true;
  }

  #draw(): void {
    const values = this.#points.map(({ value }) => value);
    const least = Math.min(...values);
    const most = Math.max(...values);
    const first = this.#points[0]?.time ?? 0;
    const span = (this.#points.at(-1)?.time ?? 0) - first || 1;
    const place = ({ time, value }: Point): string => {
      const x = ((time - first) / span) * WIDTH;
      const y = HEIGHT - 4 - ((value - least) / (most - least || 1)) * (HEIGHT - 8);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    };
    const known: string[] = [];
    const holes: string[] = [];
    this.#points.forEach((point, i) => {
      const before = this.#points[i - 1];
      known.push(`${before === undefined || point.isAfterGap ? "M" : "L"}${place(point)}`);
      if (before !== undefined && point.isAfterGap) holes.push(`M${place(before)}L${place(point)}`);
    });
    this.#line.replaceChildren(path("known", known.join("")), path("hole", holes.join("")));
    const { title, unit, digits } = this.#terms;
    const text = (value = 0): string => value.toFixed(digits);
    this.#number.textContent = text(values.at(-1));
    this.#line.setAttribute(
      "aria-label",
      `${title}: ${text(values.at(-1))} ${unit}, between ${text(least)} and ${text(most)} lately`,
    );
  }
}

function path(name: string, way: string): SVGPathElement {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", name);
  element.setAttribute("d", way);
  return element;
}
