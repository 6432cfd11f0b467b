/** A curve over the last hour. */
import type { Point } from "../samples.ts";

const [WIDTH, HEIGHT] = [320, 64];
/** The least that a curve reaches back, in milliseconds: one that has just begun is to be seen as well. */
const LEAST_MS = 5 * 60_000;

export interface ChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly text: (value: number) => string;
}

export function Chart({ title, points, text }: ChartProps) {
  const values = points.flatMap(({ value }) => value ?? []);
  const most = Math.max(0, ...values);
  const now = points.at(-1)?.value;
  const [begin, end] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0];
  const spanMs = Math.max(end - begin, LEAST_MS);
  const span = `the last ${Math.round(spanMs / 60_000)} min`;
  const said = now === undefined ? "not known yet" : text(now);
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span> <strong>{said}</strong>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: now ${said}, at most ${text(most)} within ${span}`}
      >
        <path d={pathOf(points, end, spanMs, most)} />
      </svg>
      <p class="quiet">
        at most {text(most)} within {span}
      </p>
    </figure>
  );
}

function pathOf(points: readonly Point[], end: number, spanMs: number, most: number): string {
  let path = "";
  let isDown = false;
  for (const { at, value } of points) {
    if (value === undefined) {
      isDown = false;
      continue;
    }
    const x = WIDTH - ((end - at) / spanMs) * WIDTH;
    const y = HEIGHT - 2 - (most === 0 ? 0 : (value / most) * (HEIGHT - 4));
    path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDown = true;
  }
  return path;
}
