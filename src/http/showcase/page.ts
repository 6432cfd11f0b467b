/** Pieces of the page. */

export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${id}`);
  return found;
}

export function span(className: string, text: string): HTMLSpanElement {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

const status = element("status", HTMLElement);
const problem = element("problem", HTMLElement);
const suggestions = element("channels", HTMLDataListElement);

/** Offers channels to write to. */
export function suggest(...channels: readonly string[]): void {
  const known = new Set([...suggestions.options].map(({ value }) => value));
  for (const channel of channels) {
    if (channel === "" || known.has(channel)) continue;
    const option = document.createElement("option");
    option.value = channel;
    suggestions.append(option);
  }
}

/** How the visitor is connected. */
export function setState(state: "offline" | "connecting" | "online"): void {
  status.dataset["state"] = state;
  status.textContent = state;
}

/** What went wrong, or nothing. */
export function complain(text: string): void {
  problem.textContent = text;
  problem.hidden = text === "";
}
