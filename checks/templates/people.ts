/** Two who talk in the room of every template, by the SDK that the project has installed, or in a browser. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { launchChromium } from "../../test/e2e/browsers.ts";
import { eventually } from "../../test/support/eventually.ts";

/** Beyond what a message takes to somebody whose server has just come back, in milliseconds. */
const PATIENCE_MS = 60_000;
const ROOM = "chat.lobby";

export interface Person {
  /** Says something, also while the server is away. Resolves when it is on its way. */
  say(text: string): Promise<void>;
  /** What was said, as this one has seen it, when it is as much as is expected, or after a while. */
  seen(count: number): Promise<readonly string[]>;
}

export interface People {
  /** A person comes in, and sees what was said before. */
  enter(name: string): Promise<Person>;
  leave(): Promise<void>;
}

/** By the SDK. */
export async function programs(place: string, url: string): Promise<People> {
  const path = join(place, "node_modules/messageloop/lib/index.js");
  const sdk = (await import(pathToFileURL(path).href)) as typeof import("../../src/index.ts");
  const clients: { close(): Promise<void> }[] = [];
  return {
    enter: async (clientId) => {
      const client = await sdk.dial<Record<string, { text: string }>>(url, { clientId });
      clients.push(client);
      const texts: string[] = [];
      const subscription = client.subscribe(ROOM, {
        rewind: 50,
        onMessage: ({ data }) => texts.push(data.text),
      });
      // What is missing would be no message.
      subscription.addEventListener("gap", () => texts.push("a gap"));
      await subscription.ready;
      return {
        say: async (text) => {
          const publish = client.publish(ROOM, { text });
          // It settles when the server has it, which may be away.
          publish.catch((error: Error) => texts.push(`not sent: ${error.message}`));
        },
        seen: (count) => until(async () => texts, count),
      };
    },
    leave: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** In Chromium, on the page of the template `chat`. */
export async function browsers(url: string): Promise<People> {
  const browser = await launchChromium();
  return {
    enter: async (name) => {
      const page: Page = await browser.newPage({});
      page.setDefaultTimeout(PATIENCE_MS);
      await page.goto(url);
      await page.getByLabel("Your name").fill(name);
      await page.getByRole("button", { name: "Come in" }).click();
      await page.getByRole("status").filter({ hasText: "online" }).waitFor();
      const said = page.getByRole("list", { name: "Messages" }).getByRole("listitem");
      return {
        say: async (text) => {
          await page.getByLabel("Message", { exact: true }).fill(text);
          await page.getByRole("button", { name: "Send" }).click();
        },
        seen: async (count) => {
          // Each begins with its author's name.
          const texts = await until(() => said.allTextContents(), count);
          return texts.map((text) => text.replace(/^\S+ /, ""));
        },
      };
    },
    leave: () => browser.close(),
  };
}

async function until(
  look: () => Promise<readonly string[]>,
  count: number,
): Promise<readonly string[]> {
  let last: readonly string[] = [];
  const enough = async (): Promise<boolean> => {
    last = [...(await look())];
    return last.length >= count;
  };
  await eventually(enough, Boolean, PATIENCE_MS).catch(() => {});
  return last;
}
