/**
 * Reads a channel with the EventSource of the runtime, as docs/sse.md has a page do it: the runtime's own one
 * reconnects while it does, and where it gives up another one goes on with a fresh ticket.
 *
 * @param {string} events the address, without a query
 * @param {() => Promise<string>} ticket
 * @param {(line: object) => unknown} say takes each thing that the reader hears
 * @returns {Promise<void>} of the first connection's beginning
 */
export async function readEvents(events, ticket, say) {
  let lastEventId = "";
  const later = () => setTimeout(open, 500 + Math.random() * 1_000);

  async function open() {
    try {
      const query = new URLSearchParams({ ticket: await ticket() });
      if (lastEventId !== "") query.set("last_event_id", lastEventId);
      const source = new EventSource(`${events}?${query}`);
      for (const name of ["message", "gap", "subscribed", "disconnect"]) {
        source.addEventListener(name, (event) => {
          lastEventId = event.lastEventId;
          const { payload, reason } = JSON.parse(event.data);
          say({ event: name, text: payload?.text_data, reason });
        });
      }
      source.addEventListener("error", () => {
        if (source.readyState !== EventSource.CLOSED) return;
        say({ event: "closed" });
        later();
      });
    } catch {
      later();
    }
  }

  await open();
}

/**
 * @param {string} url where a ticket can be had
 * @returns {Promise<string>}
 */
export async function ticketAt(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return await answer.text();
}
