/** The plain Durable Object room, with the compatibility date and flags of this tree's Worker. */
import { ROOT } from "../trees.ts";
import { compiled, serveWorker, type WorkerProgram, type WorkerTarget } from "./workerd.ts";
import { wranglerOf } from "./wrangler.ts";

export const ROOM: WorkerTarget = {
  name: "room",
  dialect: { name: "bare" },
  program,
  start: async () => await serveWorker(program()),
};

function program(): WorkerProgram {
  const { terms } = wranglerOf(ROOT);
  return { modules: { "main.js": compiled("room.ts") }, objects: ["Room"], ...terms };
}
