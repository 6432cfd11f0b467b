/** Names with their values, a line for each. */
import type { Line } from "../shown-message.ts";
import { Name } from "./text.tsx";

export function Lines({
  title,
  lines,
}: {
  readonly title: string;
  readonly lines: readonly Line[];
}) {
  return (
    <section class="lines">
      <h2>{title}</h2>
      <dl>
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>
              <Name of={name} most={80} />
            </dt>
            <dd>
              <Name of={value} most={4_096} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
