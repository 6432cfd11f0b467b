/** What the compiler knows of channels. */
import { expectTypeOf, test } from "vitest";
import type { Client } from "../../src/client/core/client.ts";
import type { ReceivedMessage } from "../../src/client/core/message.ts";
import type { ClientOptions } from "../../src/client/core/options.ts";
import type { PublishResult, TransportFactory } from "../../src/client/core/ports.ts";
import type { DataOf } from "../../src/client/core/types.ts";
import { webSocket } from "../../src/client/core/websocket.ts";
import type {
  createClient as createShared,
  dial as dialShared,
  SharedOptions,
} from "../../src/client/shared/index.ts";
import { connectStream, eventStream, fallback } from "../../src/client/stream/index.ts";

interface ChatMessage {
  text: string;
}

type Channels = {
  "chat.*": ChatMessage;
  "chat.system": { level: number };
  "log.**": string;
  "a.*.z": boolean;
  news: { title: string };
};

test("names and patterns say what a channel carries", () => {
  expectTypeOf<DataOf<Channels, "chat.7">>().toEqualTypeOf<ChatMessage>();
  expectTypeOf<DataOf<Channels, "chat.system">>().toEqualTypeOf<{ level: number }>();
  expectTypeOf<DataOf<Channels, "chat.*">>().toEqualTypeOf<ChatMessage>();
  expectTypeOf<DataOf<Channels, "log.a.b.c">>().toEqualTypeOf<string>();
  expectTypeOf<DataOf<Channels, "log">>().toEqualTypeOf<string>();
  expectTypeOf<DataOf<Channels, "a.b.z">>().toEqualTypeOf<boolean>();
  expectTypeOf<DataOf<Channels, "news">>().toEqualTypeOf<{ title: string }>();
  expectTypeOf<DataOf<Channels, "other">>().toBeUnknown();
  expectTypeOf<DataOf<Record<string, unknown>, "any">>().toBeUnknown();
});

test("a client whose connection is shared is the same", () => {
  type Create = typeof createShared<Channels>;
  expectTypeOf<ReturnType<Create>>().toEqualTypeOf<Client<Channels>>();
  expectTypeOf<ReturnType<typeof dialShared<Channels>>>().resolves.toEqualTypeOf<
    Client<Channels>
  >();
  expectTypeOf<{ clientId: "me"; queue: false }>().toExtend<SharedOptions<Channels>>();
  // A worker is made by a function.
  expectTypeOf<{ worker: "/worker.js" }>().not.toExtend<SharedOptions<Channels>>();
});

test("publishing and subscribing are held to it", () => {
  // Compiled, not run.
  const typed = (client: Client<Channels>) => {
    client.subscribe("chat.7", (message) => {
      expectTypeOf(message).toEqualTypeOf<ReceivedMessage<ChatMessage>>();
    });
    const published = [client.publish("chat.7", { text: "x" }), client.publish("elsewhere", 7)];
    // @ts-expect-error: what the channel carries has a text.
    published.push(client.publish("chat.7", { title: "x" }));
    expectTypeOf(client.publish("news", { title: "x" })).toEqualTypeOf<Promise<PublishResult>>();
    expectTypeOf(client.rpc<number, string>("c", "m", 1)).toEqualTypeOf<Promise<string>>();
    client.addEventListener("statechange", ({ detail }) => {
      expectTypeOf(detail.state).toEqualTypeOf<"connecting" | "connected" | "closed">();
    });
    // @ts-expect-error: there is no such event.
    client.addEventListener("nothing", () => {});
  };
  expectTypeOf(typed).toBeFunction();
});

test("a client takes one transport, which may be several", () => {
  const ticket = async (channel: string) => `of ${channel}`;
  const transport = fallback([webSocket(), connectStream(), eventStream({ ticket })]);
  expectTypeOf(transport).toEqualTypeOf<TransportFactory>();
  expectTypeOf({ transport }).toExtend<ClientOptions>();
  expectTypeOf(connectStream).toBeCallableWith({ fetch: globalThis.fetch });
  expectTypeOf(eventStream).toBeCallableWith({
    fetch: (url: string, init: object) => globalThis.fetch(url, init),
  });
  // @ts-expect-error: a list is none.
  const list: ClientOptions = { transport: [webSocket()] };
  // @ts-expect-error: a ticket is a text.
  const numbers = eventStream({ ticket: () => 7 });
  expectTypeOf([list, numbers]).toBeArray();
});
