/** A page with a client of the SDK, in protobuf, that a person hides, leaves and comes back to. Runs in browsers. */
import { protobuf } from "../../src/client/protobuf/index.ts";
import { type Client, createClient } from "../../src/index.ts";

// The part of a page that is used: the types of tests are those of Node.
declare function addEventListener(
  type: "pageshow",
  listener: (event: { readonly persisted: boolean }) => void,
): void;
declare const document: { readonly visibilityState: string };
declare const navigator: { readonly onLine: boolean };
declare const location: { readonly search: string };

/** Between two ticks of a page that nobody slows down, in milliseconds. */
const TICK_MS = 100;

const query = new URLSearchParams(location.search);
const channel = query.get("channel") ?? "";
const heard: string[] = [];
const states: string[] = [];
const problems: string[] = [];
let ticks = 0;
let restored = false;

addEventListener("pageshow", ({ persisted }) => {
  restored ||= persisted;
});

const ping = query.get("ping");

const client: Client = createClient(query.get("url") ?? "", {
  ...(ping !== null && { pingIntervalMs: Number(ping) }),
  encoding: protobuf,
  onError: ({ code, message }) => problems.push(`${code} ${message}`),
});
client.addEventListener("statechange", ({ detail }) => states.push(detail.state));
client.addEventListener("gap", ({ detail }) => problems.push(`gap ${detail.reason}`));
client.subscribe(channel, ({ data }) => {
  heard.push(data instanceof Uint8Array ? `bytes ${data.join(" ")}` : `${data}`);
});

function tick(): void {
  ticks += 1;
  setTimeout(tick, TICK_MS);
}
tick();

/** Resolves when they are in the log. */
export async function publish(...bytes: number[]): Promise<void> {
  await client.publish(channel, new Uint8Array(bytes));
}

export function state() {
  return {
    ...{ heard, states, problems, ticks, restored },
    state: client.state,
    sessionId: client.sessionId,
    visibility: document.visibilityState,
    isOnline: navigator.onLine,
  };
}
