/** What the programs of the documents on the SDK stand in. */

/** What pages leave to the application around a program, and names of the SDK that they have imported above it. */
export const AROUND = `
import type { Client as AnyClient, StandardSchema } from "messageloop";
import type { ReactElement } from "react";

declare global {
  const url: string;
  const client: AnyClient;
  const chatMessage: StandardSchema<unknown, { text: string }>;
  interface Article { title: string }
  function getToken(): Promise<string>;
  function toast(text: string): void;
  function setPrice(price: unknown): void;
  function Room(): ReactElement;
  function render(element: ReactElement): void;
  type SharedOptions = import("messageloop/shared").SharedOptions;
  const act: typeof import("react").act;
  ${named("messageloop", "createClient", "createCloudEvent", "dial")}
  ${named("messageloop/react", "MessageLoopProvider", "useChannel", "useClient", "useConnectionState", "usePresence")}
  ${named("messageloop/stream", "eventStream")}
  const FakeServer: typeof import("messageloop/testing").FakeServer;
  const ManualClock: typeof import("messageloop/testing").ManualClock;
}
`;

function named(entry: string, ...names: string[]): string {
  return names.map((name) => `const ${name}: typeof import("${entry}").${name};`).join("\n  ");
}
