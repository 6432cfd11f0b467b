/** Numbers that keep themselves: each tile has a channel, begins with its history and goes on live. */
import { createClient } from "messageloop";
import { showStatus } from "../../status.ts";
import { Tile } from "./tile.ts";

type Channels = { "dashboard.*": { readonly value: number } };

/** Numbers that a tile shows, one a second. */
const SHOWN = 120;

const TILES = [
  new Tile({ channel: "dashboard.visitors", title: "Visitors", unit: "on the site", digits: 0 }),
  new Tile({ channel: "dashboard.orders", title: "Orders", unit: "a minute", digits: 0 }),
  new Tile({ channel: "dashboard.latency", title: "Latency", unit: "ms", digits: 0 }),
  new Tile({ channel: "dashboard.errors", title: "Errors", unit: "% of requests", digits: 2 }),
];

const client = createClient<Channels>("/ws", { clientType: "dashboard" });

showStatus(client, { connected: "live" });

document.getElementById("tiles")?.append(...TILES.map(({ element }) => element));

for (const tile of TILES) {
  const subscription = client.subscribe(tile.channel, {
    // So many of the past come first, and after a loss what was missed.
    rewind: SHOWN,
    // Whoever looks at numbers is nobody's company.
    ephemeral: true,
    onMessage: ({ time, data }) => tile.add({ time, value: data.value }, SHOWN),
  });
  subscription.addEventListener("gap", () => tile.breakLine());
}
