/** How clients and channels are spread over threads. */
import { messageLoop } from "../../bench/dialects/messageloop.ts";
import { Generator } from "../../bench/generator/generator.ts";
import { parseMetrics } from "../../test/server/prometheus.ts";
import { startThreads } from "../../test/server/threads-process.ts";
import type { Report } from "../report.ts";

const THREADS = [2, 4, 8];
/** No thread has more than so many times its share. */
const MOST = 1.3;

export interface BalanceTerms {
  /** Each with a channel of its own. */
  readonly connections: number;
  /** All of them on one thread. */
  readonly plant: boolean;
}

export async function balance(report: Report, { connections, plant }: BalanceTerms): Promise<void> {
  for (const threads of THREADS) {
    const server = await startThreads(threads, { limits: { connections: 2 * connections } });
    const generator = Generator.start();
    const urls = plant ? server.own.slice(0, 1) : [server.url];
    const load = await generator.open({
      ports: urls.map((url) => Number(new URL(url).port)),
      dialects: [messageLoop()],
      channel: "check",
      channels: connections,
      subscribers: connections,
    });
    const text = await (await fetch(`http://127.0.0.1:${server.http}/metrics`)).text();
    const { samples = [] } = parseMetrics(text).get("messageloop_thread_channels") ?? {};
    const spread = {
      connections: await server.connections(),
      channels: samples.map(({ value }) => value),
    };
    for (const [what, counts] of Object.entries(spread)) {
      const most = (Math.max(...counts) * threads) / connections;
      report.expect(
        counts.reduce((all, one) => all + one, 0) >= connections && most <= MOST,
        `${connections} ${what} on ${threads} threads: at most ${most.toFixed(3)} of a share (${MOST}), ${counts.join(", ")}`,
      );
    }
    await load.close();
    await generator.stop();
    server.terminate();
    await server.ended;
  }
}
