/** Surveys by the SDK, against a server: what it asks and answers, and that what goes wrong later rejects. */
import { afterEach, expect, test } from "vitest";
import { createCloudEvent, dial, type MessageLoopClient } from "../../src/client/v0/index.ts";
import {
  createServer,
  parseConfig,
  type Server,
  type ServerPorts,
} from "../../src/server/index.ts";
import { Bus, BusBroker } from "./bus.ts";

const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

interface Started {
  readonly server: Server;
  readonly ports: ServerPorts;
  readonly broker: BusBroker;
}

/** Two servers of one cluster, whose channels below `poll` have surveys. */
async function two(limits = {}): Promise<readonly [Started, Started]> {
  const bus = new Bus();
  const listener = { addr: "127.0.0.1:0" };
  const start = async (name: string): Promise<Started> => {
    const broker = new BusBroker(bus, name);
    const config = parseConfig({
      server: { http: listener, drain_timeout: "1s" },
      transport: { websocket: listener, grpc: listener },
      channels: [{ pattern: "poll.**", survey: true }],
      limits,
    });
    const server = createServer({ config, broker, logger: { warn: () => {} } });
    ended.push(() => server.stop());
    return { server, broker, ports: await server.start() };
  };
  return [await start("one"), await start("two")];
}

async function member({ ports }: Started, ...channels: string[]): Promise<MessageLoopClient> {
  const client = await dial(`ws://127.0.0.1:${ports.websocket}/ws`);
  if (channels.length > 0) await client.subscribe(...channels);
  return client;
}

const event = (data: unknown) => createCloudEvent({ source: "/t", type: "t", data });

test("the SDK asks clients on both servers and gets what they answer, each in its kind", async () => {
  const [here, there] = await two();
  const asker = await member(here, "poll.a");
  const near = await member(here, "poll.a");
  const far = await member(there, "poll.*");
  asker.onSurvey(() => event("myself"));
  near.onSurvey((question, channel) => event({ channel, question: question.data }));
  far.onSurvey(async () => event(new Uint8Array([1, 2, 3])));
  const { answers, silent, unreached } = await asker.survey("poll.a", event("how many?"));
  expect([silent, unreached]).toEqual([[], []]);
  const said = new Map(answers.map((answer) => [answer.sessionId, answer.event?.data]));
  expect(said.get(asker.getSessionId() ?? "")).toBe("myself");
  expect(said.get(near.getSessionId() ?? "")).toEqual({ channel: "poll.a", question: "how many?" });
  expect(said.get(far.getSessionId() ?? "")).toEqual(new Uint8Array([1, 2, 3]));
  const others = await asker.survey("poll.a", event("?"), { othersOnly: true });
  expect(others.answers).toHaveLength(2);
});

test("what is refused at once, and what fails later, rejects with the server's error", async () => {
  const [here, there] = await two({ survey_audience: 2 });
  const asker = await member(here, "poll.a", "talk");
  const error = (channel: string) =>
    asker.survey(channel, event("?")).then(
      () => "resolved",
      ({ code }: { readonly code: string }) => code,
    );
  expect(await error("talk")).toBe("BAD_REQUEST");
  expect(await error("poll.b")).toBe("ACL_ERROR");
  await member(there, "poll.a");
  await member(there, "poll.a");
  // The other server has to be asked how many it has.
  expect(await error("poll.a")).toBe("TOO_LARGE");
  here.broker.cluster.others = async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new Error("stack of 10.1.2.3");
  };
  expect(await error("poll.a")).toBe("INTERNAL_ERROR");
  expect(asker.isConnected()).toBe(true);
});
