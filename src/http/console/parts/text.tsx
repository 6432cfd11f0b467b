/** Text of others, as text and nothing else. */
import { cut, visible } from "../text.ts";

/** A name, or anything on one line. It turns no direction but its own. */
export function Name({ of, most = 512 }: { readonly of: string; readonly most?: number }) {
  const { text, left } = cut(visible(of), most);
  return <bdi class="name">{left > 0 ? `${text}…` : text}</bdi>;
}

/** A moment, with its date as the title. */
export function Time({ at }: { readonly at: number }) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span>?</span>;
  const iso = date.toISOString();
  const pad = (value: number, length = 2): string => `${value}`.padStart(length, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => pad(part))
    .join(":");
  return (
    <time dateTime={iso} title={iso}>
      {`${clock}.${pad(date.getMilliseconds(), 3)}`}
    </time>
  );
}

/** What went wrong, read out at once. */
export function Problem({ text }: { readonly text: string | undefined }) {
  return (
    <p class="problem" role="alert" hidden={!text}>
      {text === undefined ? "" : cut(visible(text), 1_024).text}
    </p>
  );
}
