/** A page with the client whose connection is shared, which notes what was wrong with what it has heard. Runs in browsers. */
import { stands } from "../../src/client/core/patterns.ts";
import { createClient, type WorkerFactory } from "../../src/client/shared/index.ts";
import type { Client, Gap, ReceivedMessage, Subscription } from "../../src/index.ts";

interface Heard {
  readonly subscription: Subscription;
  readonly last: Record<string, number>;
  /** Names of which a gap was told since a message of each channel. */
  readonly excused: Set<string>;
}

/** What pages have that the compiler is told nothing of. */
declare const SharedWorker: new (
  url: string,
  options: { type: "module"; name: string },
) => ReturnType<WorkerFactory>;

let client: Client | undefined;
let me = "";
const heard = new Map<string, Heard>();
const problems: string[] = [];
const errors: string[] = [];
let total = 0;
let gaps = 0;

/** @param worker the address of the worker's script; empty where tabs elect a leader */
export function start(url: string, user: string, worker: string): void {
  me = user;
  let tokens = 0;
  client = createClient(url, {
    // Each is another one, of the same user.
    getToken: () => `${user}:${++tokens}-${Math.random()}`,
    onError: ({ code, message }) => errors.push(`${code} ${message}`),
    ...(worker && {
      worker: (name: string) => new SharedWorker(worker, { type: "module", name }),
    }),
  });
}

export function subscribe(name: string): void {
  if (client === undefined || heard.has(name)) return;
  const excused = new Set<string>();
  const last: Record<string, number> = {};
  const onMessage = (message: ReceivedMessage): void => {
    const { channel, offset } = message;
    const wrong = (what: string): void => {
      problems.push(`${me} ${name}: ${channel} ${offset} ${what}`);
    };
    const before = last[channel];
    if (!stands(name, channel)) wrong("was not asked for");
    if (channel.startsWith("own.") && channel.split(".")[1] !== me) wrong("is another user's");
    if (before !== undefined && offset <= before) wrong(`came after ${before}`);
    const hole = before !== undefined && offset > before + 1;
    if (hole && !excused.has(channel) && !excused.has(name)) wrong(`came after ${before}, no gap`);
    excused.delete(channel);
    last[channel] = offset;
    total += 1;
  };
  const subscription = client.subscribe(name, { onMessage });
  subscription.addEventListener("gap", ({ detail }: { detail: Gap }) => {
    excused.add(detail.channel);
    gaps += 1;
  });
  heard.set(name, { subscription, last, excused });
}

export function unsubscribe(name: string): void {
  heard
    .get(name)
    ?.subscription.unsubscribe()
    .catch(() => {});
  heard.delete(name);
}

export function publish(channel: string): void {
  client?.publish(channel, `${me} ${Math.random()}`).catch(({ code }: { code: string }) => {
    problems.push(`a publish became ${code}`);
  });
}

export async function close(): Promise<void> {
  await client?.close();
}

export function state() {
  return {
    state: client?.state ?? "none",
    userId: client?.userId,
    sessionId: client?.sessionId,
    subscribed: [...heard].map(([name, { subscription }]) => `${name} ${subscription.state}`),
    last: Object.fromEntries([...heard].map(([name, { last }]) => [name, last])),
    ...{ problems, errors, total, gaps },
  };
}
