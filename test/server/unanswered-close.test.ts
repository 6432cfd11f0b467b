/** A process that has closed its client ends, though the server never answers the close. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";

const CONNECTED = JSON.stringify({ id: "0", connected: { session_id: "s" } });

/** Answers the handshake and connect, and nothing else. */
let server: Server;
let port: number;

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request) => {
      const key = /sec-websocket-key: (.*)\r/i.exec(String(request))?.[1] ?? "";
      const accept = createHash("sha1")
        .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      const head = [
        "HTTP/1.1 101 Switching Protocols",
        ...["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`],
        ...["Sec-WebSocket-Protocol: messageloop+json", "", ""],
      ].join("\r\n");
      socket.write(head);
      // The client asks for nothing before it is answered.
      socket.once("data", () => {
        socket.write(
          Buffer.concat([Buffer.from([0x81, CONNECTED.length]), Buffer.from(CONNECTED)]),
        );
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});

afterAll(() => server.close());

const OWN = "";
const OF_WS = `import { WebSocket } from "ws"; options.transport = webSocket(WebSocket);`;

test.each([
  ["Node's own WebSocket", OWN],
  ["that of ws", OF_WS],
])("with %s", async (_name, more) => {
  const sdk = new URL("../../src/index.ts", import.meta.url).href;
  const program = `import { dial, webSocket } from ${JSON.stringify(sdk)};
    const options = {};
    ${more}
    const client = await dial("ws://127.0.0.1:${port}/ws", options);
    await client.close();
    console.log(client.state, typeof webSocket);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: new URL("../..", import.meta.url),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output: string[] = [];
  child.stdout.on("data", (data) => output.push(String(data)));
  const timer = setTimeout(() => child.kill("SIGKILL"), 50_000);
  const [code] = await once(child, "exit");
  clearTimeout(timer);
  expect([code, output.join("")]).toEqual([0, "closed function\n"]);
});
