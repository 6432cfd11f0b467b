/** Runs the program in Node, Bun or Deno: run.mjs SERVER NOBODY [ws]. Prints what was seen as JSON. */
import process from "node:process";
import { probe } from "./probe.mjs";

const [server, nobody, library] = process.argv.slice(2);
const socket = library === "ws" ? (await import("ws")).WebSocket : globalThis.WebSocket;
console.log(JSON.stringify(await probe(socket, server, nobody)));
// Sockets whose close is never answered would keep it alive.
process.exit(0);
