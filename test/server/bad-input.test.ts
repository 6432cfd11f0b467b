/** Whatever bytes arrive at a port, the process stays up and other clients notice nothing. */
import { connect as connectTcp } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf } from "../support/client.ts";
import { type CliServer, startServer } from "./process.ts";

let server: CliServer;
let witness: Client<WebSocket>;

beforeAll(async () => {
  server = await startServer();
  const socket = new WebSocket(server.url, ["messageloop+json"]);
  witness = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await new Promise((resolve) => socket.on("open", resolve));
  expect(kindOf(await witness.connect())).toBe("connected");
});

afterAll(async () => {
  witness?.socket.terminate();
  server?.child.kill("SIGTERM");
  expect((await server?.ended)?.code).toBe(0);
});

const UPGRADE =
  "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const INPUTS: readonly (readonly [name: string, bytes: string | Buffer])[] = [
  ["nothing", ""],
  ["random bytes", Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 131) % 256))],
  ["a TLS greeting", Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
  ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["an upgrade of a path that is no path", `GET // HTTP/1.1\r\n${UPGRADE}`],
  ["an upgrade of another path", `GET /elsewhere HTTP/1.1\r\n${UPGRADE}`],
  [
    "an upgrade to a host with a port beyond all ports",
    `GET http://x:99999/ws HTTP/1.1\r\n${UPGRADE}`,
  ],
  ["an upgrade with an origin that is none", `GET /ws HTTP/1.1\r\nOrigin: ???\r\n${UPGRADE}`],
  ["an upgrade and then no frames but garbage", `GET /ws HTTP/1.1\r\n${UPGRADE}${"x".repeat(999)}`],
  ["headers without end", `GET /ws HTTP/1.1\r\n${"X-Y: z\r\n".repeat(5_000)}`],
  ["a body that is none", "POST /ws HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
];

test.each(INPUTS)("%s", async (_, bytes) => {
  for (const port of Object.values(server.ports)) {
    await new Promise<void>((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => {
        socket.write(bytes);
        setTimeout(() => socket.destroy(), 100);
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
  }
  expect(kindOf(await witness.ping())).toBe("pong");
  expect(server.child.exitCode).toBeNull();
});

test.each(["json", "proto"] as const)(
  "positions and byte counts beyond every number of ours, in %s: a verdict, and the process stays",
  async (encoding) => {
    const subprotocol = `messageloop+${encoding}`;
    const socket = new WebSocket(server.url, [subprotocol]);
    const client = new Client<WebSocket>(socket, { encoding, extended: true });
    await new Promise((resolve) => socket.on("open", resolve));
    const since = { epoch: "x", offset: 2n ** 64n - 1n };
    const subscriptions = [
      { channel: "room", since },
      { channel: "other.*", since, positions: { "other.room": since } },
    ];
    const capabilities = ["recovery", "credit"];
    expect(kindOf(await client.connect({ capabilities, subscriptions }))).toBe("connected");
    for (const channel of ["room", "other.room", "other.*"]) {
      await client.until(() =>
        client.log.find(({ envelope }) => {
          return envelope.case === "recovered" && envelope.value.channel === channel;
        }),
      );
    }
    client.send({ envelope: { case: "received", value: { bytes: 2n ** 64n - 1n } } });
    expect(kindOf(await client.ping())).toBe("pong");
    expect(kindOf(await witness.ping())).toBe("pong");
    expect(server.child.exitCode).toBeNull();
    socket.terminate();
  },
);
