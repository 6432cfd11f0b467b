/** Components in a page, against the fake server: what React makes of the hooks. Runs in browsers. */
import { createElement, type ReactElement, StrictMode, useEffect, useState } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { systemClock } from "../../src/client/core/environment.ts";
import {
  MessageLoopProvider,
  useChannel,
  useConnectionState,
  usePresence,
} from "../../src/client/react/index.ts";
import { FakeServer } from "../../src/client/testing/index.ts";
import type { ClientOptions } from "../../src/index.ts";

/** Of React. */
export { version } from "react";

const place = document.createElement("div");
document.body.append(place);

let server: FakeServer;
let options: ClientOptions;
let root: Root | undefined;
let connections = 0;
let renderings = 0;
const subscribes: string[] = [];
const heard: string[] = [];
const problems: string[] = [];

addEventListener("error", ({ message }) => problems.push(message));
console.error = (...words: unknown[]) => problems.push(words.join(" "));

/** Begins anew, with an empty server. */
export function reset(): void {
  root?.unmount();
  root = undefined;
  server = new FakeServer({
    clock: systemClock,
    authorize: (_user, channel) => {
      subscribes.push(channel);
    },
  });
  const open: typeof server.transport.open = (...given) => {
    connections += 1;
    return server.transport.open(...given);
  };
  options = { clientId: "me", transport: { name: "counted", open } };
  connections = 0;
  renderings = 0;
  for (const list of [subscribes, heard, problems]) list.length = 0;
}

export function publish(channel: string, text: string): void {
  server.publish(channel, { id: text, source: "/test", type: "t", text_data: text });
}

export function cut(): void {
  server.cut();
}

/** What the page shows, and what has happened. */
export function seen() {
  return {
    shown: place.textContent,
    heard: [...heard],
    problems: [...problems],
    subscribes: [...subscribes],
    sessions: server.sessions.length,
    ...{ connections, renderings },
  };
}

function Room({ channel }: { readonly channel: string }): ReactElement {
  const { messages, publish: say } = useChannel(channel, { rewind: 2 });
  const { members } = usePresence(channel);
  const { state } = useConnectionState();
  useEffect(() => {
    if (channel === "echo") say("hello").catch(() => {});
  }, [channel, say]);
  return createElement(
    "p",
    null,
    `${state} ${channel}: ${messages.map(({ data }) => data).join(",")}`,
    ` (${members.map(({ clientId }) => clientId).join(",")})`,
  );
}

function Ears(): null {
  useChannel("room", { rewind: 2, onMessage: ({ data }) => heard.push(`${data}`) });
  renderings += 1;
  return null;
}

function app(channel: string, url = "ws://fake"): ReactElement {
  return createElement(
    StrictMode,
    null,
    createElement(
      MessageLoopProvider,
      { url, options },
      createElement(Room, { channel }),
      createElement(Ears),
    ),
  );
}

/** Shows a channel, in StrictMode: every component is mounted twice. */
export function show(channel: string, url?: string): void {
  root ??= createRoot(place);
  root.render(app(channel, url));
}

/** The same out of what a server has rendered. */
export function hydrate(channel: string): void {
  place.innerHTML = renderToString(app(channel));
  root = hydrateRoot(place, app(channel), {
    onRecoverableError: (error) => problems.push(`hydration: ${error}`),
  });
}

/** A component that comes and goes. */
function Door(): ReactElement {
  const [isOpen, open] = useState(true);
  return createElement(
    "div",
    null,
    createElement("button", { type: "button", onClick: () => open(!isOpen) }, "door"),
    isOpen ? createElement(Room, { channel: "room" }) : null,
  );
}

export function showDoor(): void {
  root ??= createRoot(place);
  root.render(
    createElement(
      StrictMode,
      null,
      createElement(MessageLoopProvider, { url: "ws://fake", options }, createElement(Door)),
    ),
  );
}

export function pushDoor(): void {
  place.querySelector("button")?.click();
}

export function leave(): void {
  root?.unmount();
  root = undefined;
}
