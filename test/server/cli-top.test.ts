/** `top`: what it says of servers, as tables, as JSON, and on a terminal that it leaves as it was. */
import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { WriteStream } from "node:tty";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { createCloudEvent, dial } from "../../src/index.ts";
import { figuresOf, type NodeFigures, readNodes } from "../../src/server/commands/top/reading.ts";
import { samplesOf } from "../../src/server/commands/top/samples.ts";
import { Screen } from "../../src/server/commands/top/screen.ts";
import { tableOf } from "../../src/server/commands/top/table.ts";
import { eventually } from "../support/eventually.ts";
import { programPath } from "../support/programs.ts";
import {
  type CliServer,
  linesOf,
  runCli,
  startCli,
  startServer,
  takenPort,
  until,
} from "./process.ts";

const NODE: NodeFigures = {
  node: "10.0.0.5:8080",
  problem: undefined,
  sessions: 12_345,
  channels: 7,
  publicationsPerSecond: 0.25,
  deliveriesPerSecond: 1_234_567_890,
  memoryBytes: 300 * 2 ** 20,
  lagSeconds: 0.005,
};
/** What begins a command to a terminal. */
const ESC = "\u001b";
const NOTHING = new AbortController().signal;

const servers: (Server | CliServer)[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ("child" in server) {
      server.child.kill("SIGKILL");
      await server.ended;
    } else server.close();
  }
});

async function serve(): Promise<{ server: CliServer; address: string }> {
  const server = await startServer();
  servers.push(server);
  return { server, address: `http://127.0.0.1:${server.ports.http}` };
}

/** A server that answers every request with these pages, one after the other, and notes the keys that came. */
async function answering(
  ...pages: (string | number)[]
): Promise<{ address: string; keys: string[] }> {
  const keys: string[] = [];
  let at = 0;
  const server = createServer((request, response) => {
    keys.push(request.headers.authorization ?? "");
    const page = pages[Math.min(at, pages.length - 1)] ?? "";
    at += 1;
    if (typeof page === "number") response.writeHead(page).end();
    else response.end(page);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys };
}

describe("a table", () => {
  test.each([60, 61, 80, 200])("has room in %i columns", (width) => {
    const long = { ...NODE, node: `${"x".repeat(90)}.example:8080` };
    const away = { ...NODE, problem: "it does not answer ".repeat(20) };
    const lines = tableOf([NODE, long, away], width).map(({ text }) => text);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(width);
    expect(lines[0]?.split(/ +/)).toEqual(["NODE", "SESS", "CHAN", "PUB/S", "DLV/S", "MEM", "LAG"]);
    expect(lines[1]?.split(/ +/)).toEqual([
      ...["10.0.0.5:8080", "12.3k", "7", "0.3", "1235M", "300M", "<5ms"],
    ]);
    expect(lines[2]).toContain("…");
    expect(lines[3]).toContain("it does not answer");
    expect(lines.at(-1)?.split(/ +/).slice(0, 2)).toEqual(["all", "37.0k"]);
  });

  test("says - of what is not known, and does nothing to the terminal", () => {
    const unknown = { ...NODE, node: "a\u001b[2Jb", memoryBytes: undefined, lagSeconds: undefined };
    const [, line] = tableOf([unknown], 80);
    expect(line?.text).toMatch(/^a\\u001b\[2Jb .*- +-$/);
  });
});

describe("figures", () => {
  const page = (published: number, lag: readonly number[]): string =>
    `messageloop_sessions 2\nmessageloop_publications_total ${published}
messageloop_event_loop_lag_seconds_bucket{le="0.005"} ${lag[0]}
messageloop_event_loop_lag_seconds_bucket{le="0.1"} ${lag[1]}
messageloop_event_loop_lag_seconds_bucket{le="+Inf"} ${lag[2]}\n`;

  test("are of what happened between two looks, and of no life before", async () => {
    const { address } = await answering(
      page(10, [100, 100, 100]),
      page(30, [150, 200, 200]),
      page(5, [1, 1, 1]),
    );
    const [one, two, three] = [
      await readNodes([address], undefined, NOTHING),
      await readNodes([address], undefined, NOTHING),
      await readNodes([address], undefined, NOTHING),
    ];
    const [first] = figuresOf(one, []);
    expect(first).toMatchObject({ sessions: 2, channels: undefined, lagSeconds: 0.005 });
    expect(first?.publicationsPerSecond).toBeUndefined();
    const [second] = figuresOf(two, one);
    const seconds = ((two[0]?.at ?? 0) - (one[0]?.at ?? 0)) / 1_000;
    expect(second?.publicationsPerSecond).toBeCloseTo(20 / seconds);
    expect(second?.lagSeconds).toBe(0.1);
    // It has started again.
    expect(figuresOf(three, two)[0]?.publicationsPerSecond).toBeUndefined();
  });

  test("of Workers are by region, and those that nobody has used are left out", async () => {
    const { address } = await answering(
      [
        'messageloop_region_ready{region="weur"} 1\nmessageloop_gateways{region="weur"} 2',
        'messageloop_sessions{region="weur"} 5\nmessageloop_region_ready{region="enam"} 1',
        'messageloop_gateways{region="enam"} 0\nmessageloop_region_ready{region="oc"} 0\n',
      ].join("\n"),
    );
    const nodes = figuresOf(await readNodes([address], undefined, NOTHING), []);
    const { host } = new URL(address);
    expect(nodes.map(({ node, sessions, problem }) => [node, sessions, problem])).toEqual([
      [`weur ${host}`, 5, undefined],
      [`oc ${host}`, undefined, "its counters do not answer"],
    ]);
  });

  test("labels with quotes, and lines that are none, are read as they are", () => {
    const text = 'a{b="c\\"d,e",f="g"} 1e3\n# HELP a b\n\nnonsense\na_bucket{le="+Inf"} 2\n';
    expect(samplesOf(text)).toEqual([
      { name: "a", labels: { b: 'c\\"d,e', f: "g" }, value: 1_000 },
      { name: "a_bucket", labels: { le: "+Inf" }, value: 2 },
    ]);
  });
});

test("a screen is left as it was, and never wrapped or coloured where that is not wanted", () => {
  const written: string[] = [];
  const stream = { rows: 4, write: (text: string) => written.push(text) } as unknown as WriteStream;
  const lines = tableOf([NODE, NODE, NODE, NODE], 60);
  const plain = new Screen(stream, false);
  plain.draw(lines);
  plain.draw(lines);
  plain.leave();
  plain.leave();
  const text = written.join("");
  expect(text.split("\u001b[?1049h")).toHaveLength(2);
  expect(text.split("\u001b[?1049l")).toHaveLength(2);
  expect(text).not.toMatch(new RegExp(`${ESC}\\[\\d*m`));
  // Three lines, and the one that the cursor stands in.
  expect(written[0]?.split("\r\n")).toHaveLength(4);
  written.length = 0;
  new Screen(stream, true).draw(tableOf([{ ...NODE, problem: "gone" }], 60));
  expect(written.join("")).toContain("\u001b[31m10.0.0.5:8080");
});

describe("a server", () => {
  let nobody: string;

  beforeAll(async () => {
    const { port, release } = await takenPort();
    await release();
    nobody = `http://127.0.0.1:${port}`;
  });

  test("is shown once, with one that is not there, and as JSON", async () => {
    const busy = await serve();
    const client = await dial(busy.server.url, { clientId: "c" });
    client.subscribe("chat.room", () => {});
    await client.publish("chat.room", createCloudEvent({ source: "/t", type: "t", data: "x" }));
    const publishing = setInterval(() => {
      client
        .publish("chat.room", createCloudEvent({ source: "/t", type: "t", data: "x" }))
        .catch(() => {});
    }, 20);
    try {
      const args = ["top", busy.address, nobody, "--once", "--interval", "1s"];
      const [table, json] = await Promise.all([runCli(args), runCli([...args, "--json"])]);
      expect([table.code, table.stderr]).toEqual([1, ""]);
      const [head, there, away, all, ...more] = linesOf(table.stdout);
      expect(more).toEqual([]);
      expect(head).toMatch(/^NODE +SESS +CHAN +PUB\/S +DLV\/S +MEM +LAG$/);
      expect(there).toMatch(/^127\.0\.0\.1:\d+ +1 +1 +[\d.]+ +[\d.]+ +\d+M +<\d+ms$/);
      expect(away).toMatch(/ECONNREFUSED$/);
      expect(all).toMatch(/^all +1 +1 /);
      const [node, gone] = linesOf(json.stdout).map((line) => JSON.parse(line));
      expect(node).toMatchObject({ problem: null, sessions: 1, channels: 1 });
      expect(node.publicationsPerSecond).toBeGreaterThan(1);
      expect(node.publicationsPerSecond).toBeLessThan(60);
      expect(node.memoryBytes).toBeGreaterThan(10_000_000);
      expect(gone).toMatchObject({ problem: "ECONNREFUSED", sessions: null });
    } finally {
      clearInterval(publishing);
      await client.close();
    }
  });

  test("is shown again and again where there is no terminal, until a signal", async () => {
    const { address } = await serve();
    const cli = startCli(["top", address, "--interval", "500ms"], { env: { FORCE_COLOR: "1" } });
    await until(cli, () => cli.stdout().filter((line) => line.startsWith("NODE")).length >= 3);
    cli.child.kill("SIGINT");
    const { code, stdout, stderr } = await cli.ended;
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain("\u001b");
  });

  test("is shown on a terminal of 60 columns, which Ctrl-C leaves as it was", async () => {
    const { address } = await serve();
    const command = `stty cols 60 rows 12; exec ${process.execPath} ${programPath("cli")} top ${address} --interval 500ms`;
    const env = { ...process.env, TERM: "xterm", NO_COLOR: "" };
    const child = spawn("script", ["-qfec", command, "/dev/null"], { env });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (some: string) => {
      text += some;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    try {
      await eventually(() => text.split("\u001b[H").length > 3);
      expect(text.startsWith("\u001b[?1049h\u001b[?25l")).toBe(true);
      expect(text).not.toContain("\u001b[?1049l");
      child.stdin.write("\u0003");
      expect(await ended).toBe(0);
    } finally {
      child.kill("SIGKILL");
    }
    expect(text.trimEnd().endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    const shown = text.replaceAll(new RegExp(`${ESC}\\[[?\\d]*[A-Za-z]`, "g"), "").split(/\r*\n/);
    expect(Math.max(...shown.map((line) => line.length))).toBe(60);
    expect(text).toContain("\u001b[1mNODE");
  });
});

test("the key goes where it is wanted, and what refuses it is said", async () => {
  const { address, keys } = await answering(401, 401, "nothing of ours\n");
  const args = ["top", address, "--once", "--interval", "500ms"];
  const refused = await runCli(args);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain("HTTP 401: it wants an API key");
  const other = await runCli(args, { env: { MESSAGELOOP_API_KEY: "ml_a_b" } });
  expect(other.stdout).toContain("it has no metrics of MessageLoop");
  expect(keys).toEqual(["", "", "Bearer ml_a_b", "Bearer ml_a_b"]);
});

test.each([
  [["top", "localhost:8080"], /It must be an address such as http:\/\/localhost:8080/],
  [["top", "--interval", "10ms"], /It must be a duration from 500ms to 1h/],
  [["top", "--interval", "2h"], /It must be a duration from 500ms to 1h/],
  [["top", "--key-file", "nowhere"], /^cannot read nowhere: there is no such file$/],
])("%j is one line and exit code 2", async (args, sentence) => {
  const { code, stdout, stderr } = await runCli(args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(linesOf(stderr)).toEqual([expect.stringMatching(sentence)]);
});
