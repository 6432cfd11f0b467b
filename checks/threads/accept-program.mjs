/**
 * A server with threads that answers each connection with a few bytes and closes it, by either way in which connections can
 * reach threads. Takes the way and the number of threads, and prints its port. A line "block MS" on its input keeps its
 * last thread busy for so long.
 */
import { createServer as createHttp } from "node:http";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

if (isMainThread) await main(process.argv[2], Number(process.argv[3]));
else thread();

async function main(way, threads) {
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => free.once("listening", resolve));
  const { port } = free.address();
  await new Promise((resolve) => free.close(resolve));
  const workers = [];
  for (let index = 0; index < threads; index++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { way, port } });
    await new Promise((resolve) => worker.once("message", resolve));
    workers.push({ worker, open: 0 });
  }
  if (way === "move") {
    for (const one of workers) {
      one.worker.on("message", (gone) => {
        one.open -= gone;
      });
    }
    createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      let chosen = workers[0];
      for (const one of workers) if (one.open < chosen.open) chosen = one;
      chosen.open += 1;
      chosen.worker.postMessage(socket, [socket]);
    }).listen({ port, host: "127.0.0.1", backlog: 4_096 }, () => console.log(port));
  } else console.log(port);
  createInterface({ input: process.stdin }).on("line", (line) => {
    workers.at(-1).worker.postMessage({ block: Number(line.split(" ")[1]) });
  });
}

function thread() {
  const { way, port } = workerData;
  let served = 0;
  const server = createHttp((_, response) => {
    served += 1;
    response.setHeader("Connection", "close");
    response.end(`${process.pid} ${served}`);
  });
  let gone = 0;
  parentPort.on("message", (message) => {
    if (message.block === undefined) {
      server.emit("connection", message);
      message.once("close", () => {
        if (gone++ === 0) {
          setImmediate(() => {
            parentPort.postMessage(gone);
            gone = 0;
          });
        }
      });
    } else for (const end = performance.now() + message.block; performance.now() < end; );
  });
  if (way === "move") {
    server.emit("listening");
    parentPort.postMessage("ready");
  } else {
    server.listen({ port, host: "127.0.0.1", backlog: 4_096, reusePort: true }, () =>
      parentPort.postMessage("ready"),
    );
  }
}
