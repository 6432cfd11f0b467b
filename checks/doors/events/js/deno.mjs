/** Reads a channel in Deno: deno.mjs EVENTS TICKETS. Prints a line of JSON for each event. */
import { readEvents, ticketAt } from "./read.mjs";

const [events, tickets] = globalThis.Deno.args;
await readEvents(
  events,
  () => ticketAt(tickets),
  (line) => console.log(JSON.stringify(line)),
);
