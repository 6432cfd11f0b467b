/** How a page says that it is connected: by a dot and a word, in its element `status`. */
import type { Client } from "messageloop";

export const WORDS = { connected: "online", connecting: "connecting…", closed: "offline" };

/** Keeps the status of a page true. @param words for states that the page has words of its own for */
export function showStatus<Channels extends object>(
  client: Client<Channels>,
  words: Partial<typeof WORDS> = {},
): void {
  const status = document.getElementById("status") as HTMLElement;
  client.addEventListener("statechange", ({ detail: { state } }) => {
    status.dataset["state"] = state;
    status.textContent = words[state] ?? WORDS[state];
  });
}
