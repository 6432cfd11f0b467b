/** A room for people who have signed in. The page has no key: it asks the Worker for a token whenever it needs one. */
import { type Client, createClient, type ReceivedMessage } from "messageloop";
import { showStatus } from "../../status.ts";

type Channels = { "team.**": { readonly text: string } };

interface Ticket {
  readonly name: string;
  /** Where MessageLoop is. */
  readonly url: string;
  readonly token: string;
}

const ROOM = "team.lobby";
const SIGNED_OUT = "signed out";

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const status = element("status");
const door = element<HTMLFormElement>("door");
const inside = element("inside");
const messages = element<HTMLOListElement>("messages");
const text = element<HTMLInputElement>("text");
const problem = element("problem");

let client: Client<Channels> | undefined;

/** Null where nobody has signed in. */
async function ticket(): Promise<Ticket | null> {
  const answer = await fetch("/token");
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`/token: ${answer.status}`);
  return (await answer.json()) as Ticket;
}

async function enter(): Promise<void> {
  const first = await ticket();
  show(first);
  if (first === null) return;
  messages.replaceChildren();
  const made = createClient<Channels>(new URL("/ws", first.url).href, {
    token: first.token,
    // Before a token expires, and after it has: null ends the client.
    getToken: async () => (await ticket())?.token ?? null,
    onError: ({ message }) => complain(message),
  });
  client = made;
  showStatus(made, { closed: SIGNED_OUT });
  made.addEventListener("statechange", ({ detail: { state, error } }) => {
    // Not by this page, which has another client then, or none.
    if (made !== client || state !== "closed") return;
    show(null);
    if (error !== undefined) complain(error.message);
  });
  made.subscribe(ROOM, {
    rewind: 30,
    onMessage: (message) => {
      if (made === client) add(message, first.name);
    },
  });
}

function add(
  { publisher, event, data }: ReceivedMessage<{ readonly text: string }>,
  me: string,
): void {
  const row = document.createElement("li");
  // Only the server's API publishes without a user: this comes from the Worker.
  const isNotice = publisher.userId === "" && event.type === "notice";
  if (isNotice) row.className = "notice";
  else {
    row.dataset["mine"] = `${publisher.userId === me}`;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = publisher.userId;
    row.append(who);
  }
  row.append(data.text);
  messages.append(row);
  messages.scrollTo({ top: messages.scrollHeight });
}

function show(signedIn: Ticket | null): void {
  door.hidden = signedIn !== null;
  inside.hidden = signedIn === null;
  element("who").textContent = signedIn === null ? "" : `You are ${signedIn.name}.`;
  if (signedIn === null) status.textContent = SIGNED_OUT;
}

function complain(message: string): void {
  problem.textContent = message;
}

/** What is asked of the Worker; what goes wrong is shown. */
function attempt(work: () => Promise<void>): void {
  complain("");
  work().catch((error: Error) => complain(error.message));
}

door.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const { value } = element<HTMLInputElement>("name");
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: value.trim() }),
    });
    if (!answer.ok) throw new Error(((await answer.json()) as { message: string }).message);
    await enter();
  });
});

element("leave").addEventListener("click", () => {
  attempt(async () => {
    const gone = client;
    client = undefined;
    await gone?.close({ forget: true });
    await fetch("/logout", { method: "POST" });
    status.dataset["state"] = "none";
    show(null);
  });
});

element<HTMLFormElement>("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (said === "") return;
  text.value = "";
  attempt(async () => {
    await client?.publish(ROOM, { text: said });
  });
});

attempt(enter);
