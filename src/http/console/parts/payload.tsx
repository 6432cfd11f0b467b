/** What an event carries, as JSON, as text or as bytes. */
import { useState } from "preact/hooks";
import { isJson, laidOut } from "../json-layout.ts";
import { type Data, hexadecimal } from "../shown-message.ts";
import { bytesText, cut, MAX_SHOWN_BYTES, visibleLines } from "../text.ts";

const FORMS = ["JSON", "text", "bytes"] as const;
type Form = (typeof FORMS)[number];

export function Payload({ data }: { readonly data: Data | undefined }) {
  const [chosen, choose] = useState<Form | undefined>();
  if (data === undefined) return <p class="quiet">The event carries no data.</p>;
  const { text } = data;
  const possible: Readonly<Record<Form, boolean>> = {
    JSON: text !== undefined && isJson(text),
    text: text !== undefined,
    bytes: true,
  };
  const form = chosen ?? FORMS.find((one) => possible[one]) ?? "bytes";
  const { shown, whole } = written(data, form);
  return (
    <div class="payload">
      <fieldset class="choice">
        <legend class="hidden">Show the data as</legend>
        {FORMS.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={one === form}
            disabled={!possible[one]}
            onClick={() => choose(one)}
          >
            {one}
          </button>
        ))}
        <span class="quiet">{bytesText(data.size)}</span>
      </fieldset>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard. */}
      <pre tabIndex={0}>{shown}</pre>
      {whole ? null : (
        <p class="quiet">Only the beginning is shown, {bytesText(MAX_SHOWN_BYTES)} of it.</p>
      )}
    </div>
  );
}

function written(data: Data, form: Form): { readonly shown: string; readonly whole: boolean } {
  const { text = "" } = data;
  if (form === "bytes") {
    const { text: shown, whole } = hexadecimal(data.bytes(), MAX_SHOWN_BYTES);
    return { shown, whole };
  }
  const laid = form === "JSON" ? laidOut(text, MAX_SHOWN_BYTES) : { text, whole: true };
  const first = cut(laid.text);
  const { text: shown, left } = cut(visibleLines(first.text));
  return { shown, whole: laid.whole && first.left === 0 && left === 0 };
}
