/** The yardstick of doors over HTTP: reads a body of JSON, and answers with one. Prints its port. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
app.post("/", async (context) => {
  const { publications } = await context.req.json<{ publications: readonly unknown[] }>();
  return context.json({ results: publications.map(() => ({})) });
});

const server = createServer(getRequestListener(app.fetch));
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
