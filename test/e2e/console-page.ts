/** How a test uses the console, inside of its page. Its text is handed over: it may use nothing from around it. */

/** @returns verbs whose promises reject with what there is instead */
export function drive() {
  // biome-ignore lint/suspicious/noExplicitAny: the page's own globals, which tests in Node have no types of.
  const { document, Event, HTMLTextAreaElement, HTMLInputElement } = globalThis as any;
  const PATIENCE_MS = 10_000;

  // biome-ignore lint/suspicious/noExplicitAny: an element.
  const seen = (selector: string): any[] =>
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    [...document.querySelectorAll(selector)].filter((one: any) => one.checkVisibility());

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const found = (selector: string, text: string): any =>
    seen(selector).find(({ textContent }) => text === "" || textContent.includes(text));

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const exact = (selector: string, text: string): any =>
    seen(selector).find(({ textContent }) => textContent.trim() === text) ?? found(selector, text);

  const until = async <T>(look: () => T | undefined | false, what: string): Promise<T> => {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const value = look();
      if (value) return value;
      if (Date.now() > end) {
        throw new Error(`there is no ${what} in: ${document.body.innerText.slice(0, 400)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  return {
    async fill(selector: string, text: string): Promise<void> {
      const field = await until(() => found(selector, ""), selector);
      const type = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
      Object.getOwnPropertyDescriptor(type.prototype, "value")?.set?.call(field, text);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    },
    async click(selector: string, text: string): Promise<void> {
      const target = await until(() => {
        const one = exact(selector, text);
        return one?.disabled ? undefined : one;
      }, `${selector} “${text}”`);
      target.click();
    },
    async see(selector: string, text: string): Promise<void> {
      await until(() => found(selector, text), `${selector} “${text}”`);
    },
    async openAll(): Promise<void> {
      for (const one of document.querySelectorAll("details:not([open])")) one.open = true;
      // The page renders what is in them.
      await until(
        () => seen("details[open]").length === seen("details .whole").length,
        "data of every message",
      );
    },
  };
}
