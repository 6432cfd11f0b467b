/**
 * The showcase: a conversation over several channels, its members, those that are typing, and what a client makes of a network that
 * goes away and comes back.
 */
import { webSocket } from "../../client/core/websocket.ts";
import { MessageList } from "./message-list.ts";
import { someName } from "./names.ts";
import { Network } from "./network.ts";
import { complain, element, suggest } from "./page.ts";
import { Visit } from "./visit.ts";

const settings = element("settings", HTMLFormElement);
const nameField = element("name", HTMLInputElement);
const channelField = element("channel", HTMLInputElement);
const encodingField = element("encoding", HTMLSelectElement);
const networkButton = element("network", HTMLButtonElement);
const compose = element("compose", HTMLFormElement);
const targetField = element("target", HTMLInputElement);
const textField = element("text", HTMLInputElement);

const network = new Network(webSocket());
const list = new MessageList();
let visit: Visit | undefined;

const query = new URLSearchParams(location.search);
nameField.value = query.get("name") ?? someName();
channelField.value = query.get("channel") ?? "chat.*";
encodingField.value = query.get("encoding") === "proto" ? "proto" : "json";
targetField.value = /[*]/.test(channelField.value) ? "chat.lobby" : channelField.value;
suggest("chat.lobby", "chat.games", "chat.music");

settings.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!/[*]/.test(channelField.value)) targetField.value = channelField.value;
  begin();
});

networkButton.addEventListener("click", () => {
  if (network.isCut) network.mend();
  else network.cut();
  networkButton.textContent = network.isCut ? "Go online" : "Go offline";
  networkButton.setAttribute("aria-pressed", String(network.isCut));
});

compose.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = textField.value.trim();
  if (text === "") return;
  textField.value = "";
  visit?.say(targetField.value, text);
});

textField.addEventListener("input", () => visit?.typing.tell(targetField.value));
targetField.addEventListener("change", () => visit?.look(targetField.value));

begin();

function begin(): void {
  visit?.end();
  list.clear();
  complain("");
  visit = new Visit({
    name: nameField.value.trim() || someName(),
    channel: channelField.value.trim(),
    target: targetField.value.trim(),
    encoding: encodingField.value === "proto" ? "proto" : "json",
    network,
    list,
  });
}
