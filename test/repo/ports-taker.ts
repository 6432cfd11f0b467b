/** Takes as many ports as it is told, names them to its parent and keeps them. */
import { settledPort } from "../support/ports.ts";

const ports: number[] = [];
while (ports.length < Number(process.argv[2])) ports.push(await settledPort("serve"));
process.send?.(ports);
// Its ports are its own until it ends.
setInterval(() => {}, 60_000);
