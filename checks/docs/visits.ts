/** What is looked at once the commands of a page run: what its reader would see. */
import { setTimeout as pause } from "node:timers/promises";
import { launchChromium } from "../../test/e2e/browsers.ts";

/** What a program has printed, by the command that started it. */
type Printed = (command: string) => string;

export const VISITS: Readonly<Record<string, (printed: Printed) => Promise<void>>> = {
  "docs/guides/chat.md": async () => {
    const chromium = await launchChromium();
    try {
      const ada = await chromium.open("http://localhost:5173/?name=ada");
      const ben = await chromium.open("http://localhost:5173/?name=ben");
      await until("both are listed", async () => (await text(ada, "#people")) === "ada,ben");
      await ben.evaluate(
        "document.querySelector('input').value = 'hello'; document.querySelector('button').click()",
      );
      await until("what ben says is shown", async () =>
        (await text(ada, "#messages")).includes("ben: hello"),
      );
      // A later visitor sees what was said before.
      const eve = await chromium.open("http://localhost:5173/?name=eve");
      await until("history is shown", async () => (await text(eve, "#messages")) === "ben: hello");
    } finally {
      await chromium.close();
    }
  },
  "docs/guides/dashboard.md": async (printed) => {
    await until(
      "figures come",
      async () => (printed("node read.mjs").match(/ -?\d+$/gm)?.length ?? 0) > 2,
    );
  },
  "docs/guides/notifications.md": async (printed) => {
    await until("the device is notified", async () =>
      printed("node device.mjs").includes("Your order is on its way"),
    );
  },
  "docs/guides/webhooks.md": async (printed) => {
    const hooks = ["on_connected", "on_occupied", "on_disconnected", "on_vacated"];
    await until("all four have come", async () =>
      hooks.every((hook) => printed("node receiver.mjs").includes(hook)),
    );
  },
  "docs/guides/redis.md": async (printed) => {
    await until("the second server's subscriber hears", async () =>
      printed("npx messageloop subscribe").includes("hello"),
    );
  },
};

interface Evaluating {
  evaluate(script: string): Promise<unknown>;
}

async function text(page: Evaluating, selector: string): Promise<string> {
  const script = `[...document.querySelector("${selector}").children].map((one) => one.textContent).join()`;
  return String(await page.evaluate(script));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not in 20 s: ${what}`);
    await pause(50);
  }
}
