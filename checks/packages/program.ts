/** The program of somebody who has installed the SDK, as text: nothing of this project compiles it. */

export const PAGE = `<!doctype html>
<title>check</title>
<script type="module" src="./main.ts"></script>
`;

/**
 * Vite says of every `"use client"` that a bundle may not keep it, which is for frameworks that render on a server. Its plugin for
 * React leaves that out, as this does.
 */
export const VITE = `export default {
  build: {
    rolldownOptions: {
      onwarn: (warning, warn) => {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE" || !warning.message.includes("use client")) warn(warning);
      },
    },
  },
};
`;

/** Beside it is `entries.ts`, which imports every entry. */
export const MAIN = `import { type Client, dial, MessagingError } from "messageloop";
import { protobuf } from "messageloop/protobuf";
import { all } from "./entries.js";

interface Note {
  readonly text: string;
}
type Channels = { "check.*": Note };

/** By each encoding a message there and back, and what is refused. */
async function talk(url: string): Promise<string> {
  const told: string[] = [];
  for (const encoding of ["json", protobuf] as const) {
    const client: Client<Channels> = await dial<Channels>(url, { encoding });
    const subscription = client.subscribe("check.room");
    await subscription.ready;
    await client.publish("check.room", { text: "hello" });
    for await (const { data } of subscription) {
      told.push(data.text);
      break;
    }
    const refused: unknown = await client.history("another").catch((error: unknown) => error);
    told.push(refused instanceof MessagingError ? refused.code : "nothing");
    await client.close();
  }
  return told.join(" ");
}

/** Entries that export something, to keep all of it in a bundle. */
const entries = Object.entries(all).flatMap(([entry, its]) => (Object.keys(its).length > 0 ? [entry] : []));

Object.assign(globalThis, { check: { talk, entries } });
`;

/** A component with every hook. */
export const COMPONENT = `import { createClient } from "messageloop";
import { createHooks, MessageLoopProvider, useClient, useConnectionState } from "messageloop/react";
import type { ReactElement } from "react";

const hooks = createHooks<{ "chat.*": { readonly text: string } }>();

function Room(): ReactElement {
  const { messages, publish, error } = hooks.useChannel("chat.lobby", { rewind: 10 });
  const { members } = hooks.usePresence("chat.lobby");
  return (
    <button onClick={() => void publish({ text: error?.message ?? "" })}>
      {members.length} {messages.map(({ id, data }) => <i key={id}>{data.text}</i>)}
    </button>
  );
}

function Status(): ReactElement {
  return <p title={useClient()?.userId}>{useConnectionState().state}</p>;
}

export function App(): ReactElement {
  return (
    <MessageLoopProvider url="/ws" createClient={createClient}>
      <Status />
      <hooks.MessageLoopProvider url="/ws" options={{ getToken: () => "t" }}>
        <Room />
      </hooks.MessageLoopProvider>
    </MessageLoopProvider>
  );
}
`;

/** What `talk` says. */
export const TALK = "hello ACL_ERROR hello ACL_ERROR";

/** Runs a bundle of it on Node: run.mjs BUNDLE URL */
export const RUN = `import { pathToFileURL } from "node:url";

const [file, url] = process.argv.slice(2);
await import(pathToFileURL(file).href);
console.log(JSON.stringify({ talk: await check.talk(url), entries: check.entries }));
`;

/** What `--plant` puts into the package. */
export const MISTAKES = {
  /** Nobody who bundles for a browser has it. */
  import: 'import "node:fs";\n',
  /** What only those find who look into declarations of others. */
  declaration: "export declare const mistake: Missing;\n",
  /** A path that is not there. */
  types: "./lib/missing.d.ts",
  /** More than a package may weigh. */
  bytes: 5_000_000,
} as const;
