/** A question to the application's backend, and its answer or refusal. */
import { createClient, MessagingError } from "messageloop";
import { showStatus } from "../../status.ts";

interface Question {
  readonly article: string;
  readonly count: number;
}

interface Quote {
  readonly cents: number;
  readonly saved: number;
}

const form = document.getElementById("ask") as HTMLFormElement;
const article = document.getElementById("article") as HTMLSelectElement;
const count = document.getElementById("count") as HTMLInputElement;
const answers = document.getElementById("answers") as HTMLOListElement;

const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const client = createClient("/ws");

showStatus(client);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { value, selectedOptions } = article;
  const what = `${count.value} × ${selectedOptions[0]?.textContent}`;
  ask({ article: value, count: count.valueAsNumber }, what).catch((error: unknown) =>
    console.error(error),
  );
});

async function ask(question: Question, what: string): Promise<void> {
  const row = document.createElement("li");
  row.textContent = `${what}: asking…`;
  answers.prepend(row);
  const begin = performance.now();
  try {
    const { cents, saved } = await client.rpc<Question, Quote>("shop", "quote", question, {
      timeoutMs: 10_000,
    });
    const less = saved > 0 ? `, ${money.format(saved / 100)} less for so many` : "";
    show(row, what, `${money.format(cents / 100)}${less}`, performance.now() - begin);
  } catch (error) {
    // A code of the backend's own, such as OUT_OF_STOCK, or one of MessageLoop's, such as UNAVAILABLE.
    const { code, message } = MessagingError.from(error);
    row.className = "problem";
    show(row, what, `${message} (${code})`, performance.now() - begin);
  }
}

function show(row: HTMLElement, what: string, answer: string, ms: number): void {
  const strong = document.createElement("strong");
  strong.textContent = answer;
  const time = document.createElement("span");
  time.className = "time";
  time.textContent = `${Math.max(1, Math.round(ms))} ms`;
  row.replaceChildren(`${what}: `, strong, time);
}
