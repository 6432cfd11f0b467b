/** What the compiler knows of hooks. */
import { expectTypeOf, test } from "vitest";
import type { MessageLoopProviderProps } from "../../../src/client/react/index.ts";
import { type createHooks, useChannel } from "../../../src/client/react/index.ts";
import { createClient as createShared } from "../../../src/client/shared/index.ts";
import {
  type Client,
  createClient,
  type PublishResult,
  type ReceivedMessage,
} from "../../../src/index.ts";

interface ChatMessage {
  text: string;
}

type Channels = { "chat.*": ChatMessage; news: { title: string } };

test("channels carry their types to components", () => {
  // Compiled, not run.
  const typed = (hooks: ReturnType<typeof createHooks<Channels>>) => {
    const chat = hooks.useChannel("chat.7", ({ data }) => {
      expectTypeOf(data).toEqualTypeOf<ChatMessage>();
    });
    expectTypeOf(chat.messages).toEqualTypeOf<readonly ReceivedMessage<ChatMessage>[]>();
    expectTypeOf(chat.publish({ text: "x" })).toEqualTypeOf<Promise<PublishResult>>();
    // @ts-expect-error: what the channel carries has a text.
    chat.publish({ title: "x" }).catch(() => {});
    const news = hooks.useChannel("news", { keep: 1, onMessage: ({ data }) => data.title });
    expectTypeOf(news.messages[0]?.data).toEqualTypeOf<{ title: string } | undefined>();
    const everything = hooks.useChannel("chat.*");
    expectTypeOf(everything.messages[0]?.data).toEqualTypeOf<ChatMessage | undefined>();
    // @ts-expect-error: there is no such option.
    hooks.useChannel("news", { remember: 1 });
    expectTypeOf(hooks.useClient()).toEqualTypeOf<Client<Channels> | undefined>();
    expectTypeOf(useChannel("any").messages[0]?.data).toBeUnknown();
    return hooks.useChannel(undefined).state;
  };
  expectTypeOf(typed).toBeFunction();
});

test("a provider has a client or an address, and not both", () => {
  const props = (client: Client<Channels>): MessageLoopProviderProps<Channels>[] => [
    { client },
    { client: undefined },
    { url: "/ws" },
    { url: "/ws", options: { getToken: () => "t" } },
    { url: "/ws", createClient },
    { url: "/ws", createClient: createShared },
    // @ts-expect-error: whose client would it be?
    { url: "/ws", client },
    // @ts-expect-error: options are those of a client that the provider makes.
    { client, options: {} },
  ];
  expectTypeOf(props).toBeFunction();
});
