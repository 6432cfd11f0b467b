/** What a server renders: nothing is dialled, and the page says the same before it is alive. */
import { createElement, type ReactElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import {
  createHooks,
  MessageLoopProvider,
  useChannel,
  useClient,
  useConnectionState,
  usePresence,
} from "../../../src/client/react/index.ts";
import { FakeServer, ManualClock } from "../../../src/client/testing/index.ts";
import { type ClientOptions, createClient } from "../../../src/index.ts";

function Everything(): string {
  const { messages, state } = useChannel("room", { rewind: 10 });
  const { members, total } = usePresence("room");
  const connection = useConnectionState();
  const client = useClient();
  return [
    state,
    messages.length,
    members.length,
    total ?? "unknown",
    connection.state,
    client === undefined ? "no client" : "a client",
  ].join(" ");
}

/** Options by which every connection is counted. */
function counted(): { readonly options: ClientOptions; connections(): number; server: FakeServer } {
  const clock = new ManualClock();
  const server = new FakeServer({ clock });
  let opened = 0;
  const open: typeof server.transport.open = (...given) => {
    opened += 1;
    return server.transport.open(...given);
  };
  const options = { clock, transport: { name: "counted", open } };
  return { options, connections: () => opened, server };
}

test("a server renders what is not known yet, and does not connect", async () => {
  const { options, connections } = counted();
  const props = { url: "ws://fake", options };
  const page = createElement(MessageLoopProvider, props, createElement(Everything));
  expect(renderToString(page)).toBe("subscribing 0 0 unknown connecting no client");
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(connections()).toBe(0);
});

test("a client of the application's own is there from the beginning, and may be missing on a server", () => {
  const { options } = counted();
  const client = createClient("ws://fake", options);
  const page = (given: typeof client | undefined): ReactElement =>
    createElement(MessageLoopProvider, { client: given }, createElement(Everything));
  expect(renderToString(page(client))).toBe("subscribing 0 0 unknown connecting a client");
  expect(renderToString(page(undefined))).toBe("subscribing 0 0 unknown connecting no client");
  client.close().catch(() => {});
});

test("a hook without a provider says so, and each set of hooks has a provider of its own", () => {
  const missing = {
    code: "BAD_REQUEST",
    message: "there is no MessageLoopProvider around this hook",
  };
  const caught = (page: ReactElement): unknown => {
    try {
      return renderToString(page);
    } catch (error) {
      return error;
    }
  };
  expect(caught(createElement(Everything))).toMatchObject(missing);
  const others = createHooks();
  const page = createElement(
    others.MessageLoopProvider,
    { url: "ws://fake" },
    createElement(Everything),
  );
  expect(caught(page)).toMatchObject(missing);
});
