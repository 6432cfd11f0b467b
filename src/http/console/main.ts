/** A chat on one channel: the smallest program that shows the platform at work. */
import { dial, type MessageLoopClient, type ReceivedMessage } from "../../client/v0/client.ts";
import type { CloseInfo } from "../../client/v0/connection.ts";
import { createCloudEvent } from "../../client/v0/events.ts";
import {
  withAutoSubscribe,
  withClientId,
  withClientType,
  withEncoding,
} from "../../client/v0/options.ts";
import { disconnectFor } from "../../protocol/codes.ts";

/** Messages shown; older ones leave the page. */
const MAX_SHOWN = 500;
const NAMES = ["Ada", "Edsger", "Grace", "Barbara", "Alan", "Katherine", "Leslie", "Radia"];

const settings = element("settings", HTMLFormElement);
const nameField = element("name", HTMLInputElement);
const channelField = element("channel", HTMLInputElement);
const encodingField = element("encoding", HTMLSelectElement);
const connectButton = element("connect", HTMLButtonElement);
const status = element("status", HTMLElement);
const list = element("messages", HTMLOListElement);
const scroller = element("messages", HTMLOListElement).parentElement ?? document.body;
const empty = element("empty", HTMLElement);
const problem = element("problem", HTMLElement);
const compose = element("compose", HTMLFormElement);
const textField = element("text", HTMLInputElement);
const sendButton = element("send", HTMLButtonElement);

let client: MessageLoopClient | undefined;
/** Counts connections, so that a late callback of an older one changes nothing. */
let generation = 0;

const query = new URLSearchParams(location.search);
nameField.value = query.get("name") ?? `${NAMES[Math.floor(Math.random() * NAMES.length)]}`;
channelField.value = query.get("channel") ?? "chat.lobby";
encodingField.value = query.get("encoding") === "proto" ? "proto" : "json";

settings.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(connect());
});

compose.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(send());
});

begin(connect());

/** Lets something run whose outcome the page shows by itself; what nobody foresaw is shown as well. */
function begin(work: Promise<void>): void {
  work.catch((error: unknown) => complain(messageOf(error)));
}

async function connect(): Promise<void> {
  generation += 1;
  const mine = generation;
  const previous = client;
  client = undefined;
  setState("connecting", false);
  await previous?.close();
  list.replaceChildren();
  empty.hidden = false;
  // Relative to the page, which a proxy may have put below a prefix. The server fills in what is set.
  const path = document.querySelector('meta[name="messageloop-path"]')?.getAttribute("content");
  const url = new URL(path ?? "ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  try {
    const dialled = await dial(url.href, [
      withClientId(nameField.value),
      withClientType("web"),
      withEncoding(encodingField.value === "proto" ? "proto" : "json"),
      withAutoSubscribe(channelField.value),
    ]);
    if (mine !== generation) {
      await dialled.close();
      return;
    }
    client = dialled;
    dialled.onMessage(show);
    dialled.onError((error) => complain(error.message));
    dialled.onClosed((info) => {
      if (mine === generation) closed(info);
    });
    setState("online", true);
    textField.focus();
  } catch (error) {
    if (mine !== generation) return;
    setState("offline", false);
    complain(`Could not connect: ${messageOf(error)}`);
  }
}

function closed({ code, reason }: CloseInfo): void {
  client = undefined;
  setState("offline", false);
  const advice = disconnectFor(code)?.advice ?? "Press Connect to come back.";
  complain(`The connection was closed (${code}${reason === "" ? "" : ` ${reason}`}). ${advice}`);
}

async function send(): Promise<void> {
  const text = textField.value.trim();
  if (text === "" || client === undefined) return;
  textField.value = "";
  const source = `/console/${encodeURIComponent(nameField.value)}`;
  try {
    await client.publish(
      channelField.value,
      createCloudEvent({ source, type: "chat.message", data: { text } }),
    );
    problem.hidden = true;
  } catch (error) {
    // What could not be sent goes back where it can be sent again.
    textField.value ||= text;
    complain(`Not sent: ${messageOf(error)}`);
  }
}

function show(messages: ReceivedMessage[]): void {
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
  list.append(...messages.map(row));
  while (list.childElementCount > MAX_SHOWN) list.firstElementChild?.remove();
  empty.hidden = list.childElementCount > 0;
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
}

function row(message: ReceivedMessage): HTMLLIElement {
  const item = document.createElement("li");
  item.dataset["mine"] = String(message.publisher.sessionId === client?.getSessionId());
  item.dataset["offset"] = `${message.offset}`;
  const meta = document.createElement("div");
  meta.className = "meta";
  const time = document.createElement("time");
  const at = new Date(message.time);
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString();
  meta.append(
    span("who", message.publisher.clientId || "someone"),
    time,
    span("offset", `#${message.offset}`),
  );
  item.append(meta, span("text", textOf(message.event.data)));
  return item;
}

function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  if (data instanceof Uint8Array) return `${data.length} bytes`;
  if (typeof data === "object" && data !== null && "text" in data) return String(data.text);
  return JSON.stringify(data) ?? "";
}

function span(className: string, text: string): HTMLSpanElement {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function setState(state: "offline" | "connecting" | "online", ready: boolean): void {
  status.dataset["state"] = state;
  status.textContent = state;
  textField.disabled = !ready;
  sendButton.disabled = !ready;
  connectButton.textContent = ready ? "Reconnect" : "Connect";
  if (ready) problem.hidden = true;
}

function complain(text: string): void {
  problem.textContent = text;
  problem.hidden = false;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${id}`);
  return found;
}
