/** The generator's process: does what its parent asks for, and answers each request by its number. */
import { Load, type LoadOptions } from "./load.ts";

/** A method of a load that a parent may call, or "open" or "close". */
export interface Request {
  readonly id: number;
  readonly load: number;
  readonly method: "open" | "closed" | "paced" | "miss" | "drop" | "resume" | "close";
  readonly argument?: unknown;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

const loads = new Map<number, Load>();

async function perform({ load: number, method, argument }: Request): Promise<unknown> {
  if (method === "open") {
    const { load, sample } = await Load.open(argument as LoadOptions);
    loads.set(number, load);
    return sample;
  }
  const load = loads.get(number);
  if (load === undefined) throw new Error("there is no such load");
  if (method === "close") loads.delete(number);
  return await load[method](argument as never);
}

process.on("message", (request: Request) => {
  const { id } = request;
  const tell = (answer: Answer): void => {
    process.send?.(answer);
  };
  perform(request).then(
    (result) => tell({ id, result }),
    (error: unknown) => tell({ id, error: error instanceof Error ? error.message : `${error}` }),
  );
});
process.once("disconnect", () => process.exit());
