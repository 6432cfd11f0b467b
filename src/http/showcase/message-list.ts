/** The messages of the page, the newest last and in sight unless the visitor has scrolled up. */
import type { ReceivedMessage } from "../../client/core/message.ts";
import { element, span } from "./page.ts";

/** Messages shown; older ones leave the page. */
const MAX_SHOWN = 500;
/** Distance from the end that counts as the end, in pixels. */
const NEAR_END = 40;

export class MessageList {
  readonly #list = element("messages", HTMLOListElement);
  readonly #empty = element("empty", HTMLElement);
  readonly #scroller = this.#list.parentElement ?? document.body;
  #atEnd = true;

  constructor() {
    this.#scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    });
    // A keyboard that opens, or a line that comes below, must not hide the last message.
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
  }

  clear(): void {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    this.#atEnd = true;
  }

  add(message: ReceivedMessage, mine: boolean): void {
    const { channel, offset, data, publisher, time } = message;
    const item = row(
      publisher.clientId || "someone",
      new Date(time),
      `${channel} #${offset}`,
      textOf(data),
    );
    item.dataset["mine"] = String(mine);
    item.dataset["channel"] = channel;
    item.dataset["offset"] = `${offset}`;
    this.#append(item);
  }

  /** A message that is on its way. @returns what is to be removed when it has arrived */
  waiting(who: string, channel: string, text: string): Element {
    const item = row(who, new Date(), `${channel}, waiting`, text);
    item.dataset["mine"] = "true";
    item.dataset["state"] = "waiting";
    this.#append(item);
    return item;
  }

  /** A line of the page's own. */
  note(text: string): void {
    const item = document.createElement("li");
    item.className = "note";
    item.textContent = text;
    this.#append(item);
  }

  #append(item: HTMLLIElement): void {
    this.#list.append(item);
    while (this.#list.childElementCount > MAX_SHOWN) this.#list.firstElementChild?.remove();
    this.#empty.hidden = true;
    this.#follow();
  }

  #follow(): void {
    if (this.#atEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}

function row(who: string, at: Date, place: string, text: string): HTMLLIElement {
  const item = document.createElement("li");
  const meta = document.createElement("div");
  meta.className = "meta";
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString();
  meta.append(span("who", who), time, span("place", place));
  item.append(meta, span("text", text));
  return item;
}

function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  if (data instanceof Uint8Array) return `${data.length} bytes`;
  if (typeof data === "object" && data !== null && "text" in data) return String(data.text);
  return JSON.stringify(data) ?? "";
}
