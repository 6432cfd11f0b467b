/** A table that scrolls by itself where the page is narrow. */
import type { ComponentChildren } from "preact";

export interface TableProps {
  /** What is in it, for those who hear the page. */
  readonly caption: string;
  /** Titles; those of numbers begin with `#`. */
  readonly columns: readonly string[];
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly ComponentChildren[])[];
}

export function Table({ caption, columns, rows }: TableProps) {
  const isNumber = columns.map((title) => title.startsWith("#"));
  const kind = (place: number): string | undefined => (isNumber[place] ? "number" : undefined);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard.
    <section class="scroll" aria-label={caption} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((title, place) => (
              <th key={title} scope="col" class={kind(place)}>
                {title.replace(/^#/, "")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([first, ...cells], row) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the table draws all of its rows at once.
            <tr key={row}>
              <th scope="row">{first}</th>
              {cells.map((cell, place) => (
                <td key={columns[place + 1]} class={kind(place + 1)}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
