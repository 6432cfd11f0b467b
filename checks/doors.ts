/**
 * `npm run check:doors`: what other people's programs make of the doors over HTTP, on both hosts. Each part
 * installs what it needs by lock files of its own, into a folder that goes with it.
 */
import { parseArgs } from "node:util";
import { clients } from "./doors/clients.ts";
import { cloudEvents } from "./doors/cloudevents.ts";
import { connect } from "./doors/connect.ts";
import { events } from "./doors/events.ts";
import { openapi } from "./doors/openapi.ts";
import type { DoorPart } from "./doors/part.ts";
import { Report } from "./report.ts";

const PARTS: Readonly<Record<string, DoorPart>> = {
  clients,
  cloudevents: cloudEvents,
  connect,
  events,
  openapi,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: "string", multiple: true },
    plant: { type: "boolean", default: false },
  },
});

const report = new Report("doors");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  const hosts = values.host ?? ["server", "worker"];
  await report.part(name, () => part(report, { hosts, plant: values.plant }));
}
report.end();
