/**
 * The self-hosted server as a process of its own that its parent can ask what nobody else can: memory
 * after a forced collection, and how much CPU the turns of its event loop take. Started by `host.ts` with
 * `--expose-gc` and a channel to the parent; takes its configuration as JSON.
 */
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import type { Answer, Memory, Plant, Question } from "./host.ts";
import { Turns } from "./turns.ts";

const { config, plant } = JSON.parse(process.argv[2] ?? "{}") as { config: unknown; plant?: Plant };

const leaked: unknown[] = [];
const turns = new Turns();
const server = createServer({
  config: parseConfig(config),
  backends: plant === "leak" ? { authenticate: async () => remembered() } : {},
});

/** The fault that shows that the check can fail: each client leaves something behind. */
function remembered(): { userId: string } {
  leaked.push(Array.from({ length: 128 }, (_, i) => ({ i })));
  return { userId: "somebody" };
}

/** The other one: each second a turn takes far too long. */
if (plant === "stall") {
  setInterval(() => {
    const end = performance.now() + 400;
    while (performance.now() < end) leaked.length = 0;
  }, 1_000).unref();
}

function memory(): Memory {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { sessions, subscriptions, channels, patterns } = server.engine.stats();
  return { rss, used: heapUsed + external, sessions, subscriptions, channels, patterns };
}

async function answer(question: Question): Promise<Answer["value"]> {
  switch (question) {
    case "memory":
      return memory();
    case "collect":
      // Weak references and finalizers need a turn between two collections.
      for (let round = 0; round < 4; round++) {
        (globalThis as { gc?: () => void }).gc?.();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return memory();
    case "measure":
      turns.start();
      return undefined;
    case "measured":
      return turns.stop();
    case "stop":
      await server.stop();
      return undefined;
  }
}

process.on("message", ({ id, question }: { id: number; question: Question }) => {
  answer(question).then(
    (value) => process.connected && process.send?.({ id, value } satisfies Answer),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

// Nothing of the check outlives it.
process.once("disconnect", () => process.exit(0));
const { websocket } = await server.start();
process.send?.({ id: 0, value: websocket } satisfies Answer);
