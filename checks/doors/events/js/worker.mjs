/** Reads a channel in a Worker, for as long as the answer with a line of JSON for each event is read. */
import { readEvents, ticketAt } from "./read.mjs";

const encoder = new TextEncoder();

export default {
  fetch(request, _env, context) {
    const { searchParams } = new URL(request.url);
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const say = (line) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`)).catch(() => {});
    const ticket = () => ticketAt(searchParams.get("tickets"));
    context.waitUntil(readEvents(searchParams.get("events"), ticket, say));
    return new Response(readable);
  },
};
