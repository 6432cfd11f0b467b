/**
 * The program that the conformance runner starts, once for each kind of server that it wants: reads on standard
 * input what it wants, answers there with what it got, and serves until a signal ends it. Its arguments are
 * the host whose adapters are used, a file of descriptors, and, where a fault is to be built in, `plant`.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { callsHandler } from "../../../src/server/transport/calls.ts";
import { TrustedProxies } from "../../../src/server/transport/client-address.ts";
import { http2Server, httpServer, listen } from "../../../src/server/transport/listeners.ts";
import { remember } from "../../../src/server/transport/streams/lines.ts";
import { type ConformanceOptions, conformanceRoutes, type Serving } from "./service.ts";

const MESSAGES = "connectrpc.conformance.v1";
const HTTP_2 = 2;

interface Wanted extends Message {
  readonly httpVersion: number;
  readonly useTls: boolean;
  readonly messageReceiveLimit: number;
  readonly serverCreds?: { readonly cert: Uint8Array; readonly key: Uint8Array };
}

const [host = "", descriptorsFile = "", plant = ""] = process.argv.slice(2);
const descriptors = await readFile(descriptorsFile);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
const folder = await mkdtemp(join(tmpdir(), "messageloop-connect-"));
const wanted = fromBinary(typeOf("ServerCompatRequest"), await readFramed()) as Wanted;
const options = {
  descriptors,
  readMaxBytes: wanted.messageReceiveLimit,
  plant: plant === "plant",
};
const serving = host === "worker" ? await onWorker() : await onServer(options, wanted);
const answer = create(typeOf("ServerCompatResponse"), {
  host: "127.0.0.1",
  port: serving.port,
  ...(wanted.useTls ? { pemCert: wanted.serverCreds?.cert ?? new Uint8Array() } : {}),
});
writeFramed(toBinary(typeOf("ServerCompatResponse"), answer));
process.once("SIGTERM", async () => {
  await serving.stop();
  await rm(folder, { recursive: true, force: true });
  process.exit();
});

/** Loaded where it is wanted: what it needs takes long, and the runner waits for a few seconds only. */
async function onWorker(): Promise<Serving> {
  const { serveByWorker } = await import("./worker.ts");
  return await serveByWorker(options);
}

/** The listener that has this version of HTTP. */
async function onServer(options: ConformanceOptions, wanted: Wanted): Promise<Serving> {
  const handler = callsHandler({
    routes: conformanceRoutes(options),
    proxies: new TrustedProxies(),
    logger: { warn: (message, fields) => console.error(message, fields) },
    rest: (_request, response) => response.writeHead(404).end(),
  });
  const tls = wanted.useTls ? await filesOf(wanted.serverCreds) : undefined;
  const server =
    wanted.httpVersion === HTTP_2
      ? await http2Server(tls, handler)
      : await httpServer(tls, (request, response) => {
          remember(request, response);
          handler(request, response);
        });
  const address = { host: "127.0.0.1", port: 0 };
  const terms = { maxConnections: 1_000, logger: { warn: console.error } };
  const { port, close, destroy } = await listen(server, { address, tls }, "the listener", terms);
  return {
    port,
    stop: async () => {
      const closed = close();
      destroy();
      await closed;
    },
  };
}

async function filesOf(creds: Wanted["serverCreds"]): Promise<{ cert: string; key: string }> {
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  await writeFile(files.cert, creds?.cert ?? "");
  await writeFile(files.key, creds?.key ?? "", { mode: 0o600 });
  return files;
}

function typeOf(name: string): DescMessage {
  const found = registry.getMessage(`${MESSAGES}.${name}`);
  if (found === undefined) throw new Error(`the descriptors are without ${name}`);
  return found;
}

/** A message after its length, in 32 bits. */
async function readFramed(): Promise<Uint8Array> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) break;
  }
  return bytes.subarray(4, 4 + bytes.readUInt32BE());
}

function writeFramed(message: Uint8Array): void {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  process.stdout.write(Buffer.concat([length, message]));
}
