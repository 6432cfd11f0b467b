#!/bin/sh
# graphql-sse 2.6.1 (npm), its client, on Node 24.21 and 20.20.
#
# Behaviour: in single connection mode the client ends an operation by a DELETE to the URL with "?operationId=..." put
#   after it, also where the URL has a query already, as one with a ticket or a tenant does. The server then sees one
#   parameter, ticket=abc?operationId=..., no operation, and the subscription goes on there; the ticket is wrong besides.
#   And what the server answers for good is taken for a fault of the network: 401, and an answer in JSON that names the
#   errors of the operation (as GraphQL over HTTP has it), are asked for six times before sink.error is called; in the
#   second case with "Connection closed while having active streams" and none of the errors.
# One would expect: &operationId=, and a refusal to be told at the first answer.
# Seen: DELETE /stream?ticket=abc?operationId=...; 401: 6 requests; JSON errors: 6 requests, text as above.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts graphql-sse@2.6.1 graphql@16.14.2
cat > run.mjs <<'JS'
import { createServer } from "node:http";
import { createClient } from "graphql-sse";
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let answer; let log = [];
const server = createServer((request, response) => { log.push(`${request.method} ${request.url}`); answer(request, response); });
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/stream?ticket=abc`;

let stream;
const single = (request, response) => {
  if (request.method === "PUT") response.writeHead(201).end("token");
  else if (request.method === "GET") { stream = response.writeHead(200, { "content-type": "text/event-stream" }); stream.write(":\n\n"); }
  else if (request.method === "DELETE") response.writeHead(200).end();
  else {
    let body = "";
    request.on("data", (chunk) => { body += chunk; }).on("end", () => {
      response.writeHead(202).end();
      const { operationId: id } = JSON.parse(body).extensions;
      stream.write(`event: next\ndata: ${JSON.stringify({ id, payload: { data: { n: 1 } } })}\n\n`);
    });
  }
};
const subscribed = async (handler, singleConnection) => {
  answer = handler; log = [];
  const client = createClient({ url, singleConnection, retry: () => wait(20) });
  const seen = { next: 0, error: null };
  const end = client.subscribe({ query: "subscription { n }" }, { next: () => { seen.next++; }, error: (error) => { seen.error = error.message; }, complete: () => {} });
  await wait(1500);
  end();
  await wait(300);
  client.dispose();
  return { ...seen, log };
};
const ended = await subscribed(single, true);
const asked = ended.log.find((line) => line.startsWith("DELETE")) ?? "";
const parameters = [...new URL(asked.slice(7), url).searchParams.keys()];
const refused = await subscribed((_, response) => response.writeHead(401).end(), false);
const wrong = await subscribed((_, response) => response.writeHead(200, { "content-type": "application/json" }).end('{"errors":[{"message":"no field n"}]}'), false);
console.log(`single connection: ${asked}, parameters ${parameters}`);
console.log(`401: ${refused.log.length} requests, ${refused.error}`);
console.log(`JSON errors: ${wrong.log.length} requests, ${wrong.error}`);
const described = ended.next === 1 && /^DELETE \/stream\?ticket=abc\?operationId=/.test(asked) && parameters.join() === "ticket"
  && refused.log.length === 6 && /401/.test(refused.error) && wrong.log.length === 6 && wrong.error === "Connection closed while having active streams";
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.mjs
