/** A thread that is blocked: what the clients of the other one feel of it. */
import { open, startThreads } from "../../test/server/threads-process.ts";
import { percentile, type Report } from "../report.ts";

const CLIENTS = 20;
const BLOCKED_MS = 5_000;
/** Between two pings of a client, in milliseconds. */
const PAUSE_MS = 10;
const MOST_RATIO = 2;
/** Pings are measured before and while it is blocked, so often; a machine is not always the same. */
const ROUNDS = 3;

export async function blocked(report: Report, plant: boolean): Promise<void> {
  const server = await startThreads(2);
  const url = server.own[plant ? 1 : 0] ?? "";
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => open(url)));
  const pings = async (ms: number): Promise<number[]> => {
    const taken: number[] = [];
    const end = performance.now() + ms;
    const pinging = clients.map(async (client) => {
      while (performance.now() < end) {
        const began = performance.now();
        await client.ping();
        taken.push(performance.now() - began);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    });
    await Promise.all(pinging);
    return taken;
  };
  await pings(1_000);
  const [before, meanwhile]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    before.push(...(await pings(BLOCKED_MS)));
    await server.loop(1, BLOCKED_MS);
    meanwhile.push(...(await pings(BLOCKED_MS - 200)));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const [usual, then] = [before, meanwhile].map((taken) => percentile(taken, 0.99));
  const ratio = (then ?? 0) / (usual ?? 0);
  report.expect(
    ratio <= MOST_RATIO,
    `${meanwhile.length} pings on a thread beside one that is blocked for 5 s: p99 ${then?.toFixed(2)} ms, before ${usual?.toFixed(2)} ms, ratio ${ratio.toFixed(2)} (${MOST_RATIO})`,
  );
  for (const { socket } of clients) socket.terminate();
  server.terminate();
  await server.ended;
}
