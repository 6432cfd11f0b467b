/**
 * A backend over HTTP for what is measured in front of it: at /hooks it answers an RPC with the event that it was sent, in
 * protobuf JSON, and everywhere else with the body. Prints its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (request.url !== "/hooks") {
    response.end(body);
    return;
  }
  const { payload } = JSON.parse(body.toString()) as { readonly payload: unknown };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ payload }));
});
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
