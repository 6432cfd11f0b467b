/**
 * One storm as a process of its own, so that what it costs to make it is not taken for what the server makes of
 * it. Takes name, port and scale; says what it did as its last message to its parent.
 */
import type { Peer } from "./peer.ts";
import { STORMS } from "./storms.ts";

const [name = "", port, scale] = process.argv.slice(2);
const storm = STORMS[name];
if (storm === undefined) throw new Error(`there is no storm ${name}`);
const peers: Peer[] = [];
process.once("disconnect", () => process.exit(0));
const told = await storm({ port: Number(port), scale: Number(scale), peers });
const counts = new Map<string, number>();
const count = (what: string, more: number): void => {
  counts.set(what, (counts.get(what) ?? 0) + more);
};
for (const { refused, closed } of peers) {
  for (const [code, times] of refused) count(code, times);
  if (closed !== undefined) count(`connections closed with ${closed}`, 1);
}
const rest = [...counts].map(([what, times]) => `, ${times} ${what}`).join("");
process.send?.(`${told}${rest}`, () => {
  for (const peer of peers) peer.terminate();
  process.disconnect();
});
