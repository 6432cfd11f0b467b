/** What the runtime really does, line by line of the table in docs/cloudflare.md, under wrangler dev. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually, sleep } from "../support/eventually.ts";
import { type RunningServer, startWrangler } from "../support/wrangler.ts";

let server: RunningServer;
const sockets: WebSocket[] = [];

beforeAll(async () => {
  const classes = ["ProbeDurableObject"];
  server = await startWrangler({ main: "test/worker/runtime-probe.ts", classes });
});

afterAll(async () => {
  for (const socket of sockets) socket.terminate();
  await server?.stop();
});

/** A name that nothing else has: what was noted by another one, in an earlier try too, is not looked at. */
function fresh(word: string): string {
  return `${word}-${crypto.randomUUID()}`;
}

async function notes(name: string): Promise<string[]> {
  return (await (await fetch(`${server.url}/notes/${name}`)).json()) as string[];
}

async function call(name: string, method: string, ...args: unknown[]): Promise<unknown> {
  const query = encodeURIComponent(JSON.stringify(args));
  return await (await fetch(`${server.url}/call/${name}/${method}?args=${query}`)).json();
}

async function open(name: string, answer = "answers"): Promise<WebSocket> {
  const url = `${server.url.replace("http", "ws")}/socket/${name}?answer=${answer}`;
  const socket = new WebSocket(url, { perMessageDeflate: false });
  sockets.push(socket);
  await once(socket, "open");
  return socket;
}

async function closed(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, "close")) as [number];
  return code;
}

/** Asks for a body and goes when its first byte has come. */
async function leaves(path: string): Promise<void> {
  const request = get(`${server.url}${path}`);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  await once(response, "data");
  request.destroy();
}

/** Asks for a body, and reads its head only. */
async function neverReads(path: string): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  await once(socket, "readable");
  return socket;
}

/** Waits until something was noted. */
function noted(name: string, what: string): Promise<string[]> {
  return eventually(
    () => notes(name),
    (all) => all.includes(what),
  );
}

describe.concurrent("the runtime", () => {
  describe("streams", () => {
    test("a client that has gone is noticed by the first write that fails, by cancel and by the signal", async ({
      expect,
    }) => {
      const name = fresh("leaves");
      await leaves(`/readable/${name}`);
      const all = await eventually(
        () => notes(name),
        (some) => some.length === 2,
      );
      expect(all.toSorted()).toEqual(["abort", "cancel undefined"]);
    });

    test("a stream that writes nothing is told of nothing", async ({ expect }) => {
      const name = fresh("idle");
      await leaves(`/readable/${name}?idle`);
      await sleep(2_000);
      expect(await notes(name)).toEqual([]);
    });

    test("a write after the client has gone rejects with undefined, where waitUntil keeps its function", async ({
      expect,
    }) => {
      const name = fresh("kept");
      await leaves(`/writer/${name}?wait`);
      expect((await noted(name, "finally")).slice(-2)).toEqual(["rejected undefined", "finally"]);
    });

    test("without waitUntil the function that writes stops at its await: no catch, no finally", async ({
      expect,
    }) => {
      const name = fresh("dropped");
      await leaves(`/writer/${name}`);
      await sleep(2_000);
      expect(new Set(await notes(name))).toEqual(new Set(["written"]));
    });

    test("a write to a client that does not read waits, and abort ends the invocation", async ({
      expect,
    }) => {
      const [waits, ends] = [fresh("waits"), fresh("ends")];
      const clients = await Promise.all([
        neverReads(`/unread/${waits}`),
        neverReads(`/unread/${ends}?abort`),
      ]);
      await sleep(3_000);
      /** What is noted in a second. */
      const later = async (): Promise<Set<string>> => {
        const { length } = await notes(waits);
        await sleep(1_000);
        return new Set((await notes(waits)).slice(length));
      };
      // When all that lies between is full nothing is asked for any more, and all goes on.
      await eventually(later, (noted) => [...noted].join() === "lives", 20_000);
      const ended = await notes(ends);
      await sleep(1_000);
      expect(await notes(ends)).toEqual(ended);
      expect(ended).toContain("lives");
      for (const client of clients) client.destroy();
    });

    test("an open socket to an object keeps a stream's function going when its client has gone", async ({
      expect,
    }) => {
      const name = fresh("bridge");
      await leaves(`/writer/${name}?socket`);
      const { length: before } = await noted(name, "finally");
      await eventually(
        () => notes(name),
        ({ length }) => length > before + 20,
      );
      await call(name, "closeAll");
      expect(await noted(name, "socket closed")).toContain("rejected undefined");
    });
  });

  describe("closes", () => {
    test("a peer's close is not answered: the handler has to, and the socket is closing meanwhile", async ({
      expect,
    }) => {
      const name = fresh("silent");
      const socket = await open(name, "silent");
      socket.send("x");
      socket.close();
      await noted(name, 'close 1005 "" true 2 1');
      await sleep(1_000);
      expect(socket.readyState).toBe(WebSocket.CLOSING);
      const code = closed(socket);
      await call(name, "answer");
      expect(await code).toBe(1005);
    });

    test("in the handler a message still goes out, and a second close is none", async ({
      expect,
    }) => {
      const name = fresh("twice");
      const socket = await open(name, "twice");
      const messages: string[] = [];
      socket.on("message", (data) => messages.push(`${data}`));
      socket.close(4001, "why");
      expect(await closed(socket)).toBe(4001);
      expect(messages).toEqual(["late"]);
      const all = await noted(name, "closed");
      expect(all).toEqual(["begins with 0", 'close 4001 "why" true 2 1', "closed"]);
    });

    test("codes that are none and reasons beyond 123 bytes throw", async ({ expect }) => {
      const wrong = "InvalidAccessError";
      expect(await call(fresh("refusals"), "refusals")).toEqual({
        sent: ["", "", "", "", "", ""],
        refused: [wrong, wrong, wrong, wrong, wrong, wrong],
        reasons: ["", "SyntaxError"],
        pairs: [true, false],
      });
    });

    test("a message beyond 32 MiB closes with 1009, and the object hears an error and no close", async ({
      expect,
    }) => {
      const name = fresh("large");
      const socket = await open(name);
      let code = 0;
      socket.on("message", () => {});
      socket.on("close", (given) => {
        code = given;
      });
      socket.send(Buffer.alloc(32 * 1024 * 1024 + 1));
      await noted(name, "error");
      await sleep(500);
      expect(await notes(name)).toEqual(["begins with 0", "error"]);
      // How long the connection itself lives on is another matter.
      await eventually(
        () => code,
        (given) => given === 1009,
        20_000,
      );
    });

    test("an object that is reset closes with 1006", async ({ expect }) => {
      const name = fresh("reset");
      const socket = await open(name);
      const code = closed(socket);
      await call(name, "abort");
      expect(await code).toBe(1006);
    });
  });

  describe("alarms", () => {
    const FIRST = "alarm false 0 null";

    test("a time that has passed is now, and the handler's own alarm is gone", async ({
      expect,
    }) => {
      const name = fresh("past");
      const before = Date.now();
      const set = (await call(name, "alarmAt", before - 60_000, 0, 0)) as number;
      expect(set).toBeGreaterThanOrEqual(before);
      expect(await noted(name, FIRST)).toEqual(["begins with 0", FIRST]);
    });

    test("a handler that throws is repeated after two seconds or more", async ({ expect }) => {
      const name = fresh("throws");
      await call(name, "alarmAt", Date.now(), 1, 0);
      await noted(name, FIRST);
      const first = Date.now();
      await noted(name, "alarm true 1 null");
      expect(Date.now() - first).toBeGreaterThan(1_500);
    });

    test("one that has set an alarm before it throws is not: that alarm comes, as a first one", async ({
      expect,
    }) => {
      const name = fresh("sets");
      await call(name, "alarmAt", Date.now(), 2, 300);
      await eventually(
        () => notes(name),
        ({ length }) => length === 4,
      );
      await sleep(3_000);
      expect(await notes(name)).toEqual(["begins with 0", FIRST, FIRST, FIRST]);
    });

    test("deleteAll takes the alarm with it", async ({ expect }) => {
      expect(await call(fresh("deletes"), "alarmAfterDeleteAll")).toBeNull();
    });
  });

  describe("limits", () => {
    test("an attachment has 16,384 bytes with what is around it, and one that is refused leaves the last", async ({
      expect,
    }) => {
      expect(await call(fresh("attached"), "attachments")).toEqual({
        buffer: [true, false],
        bytes: [true, false],
        view: false,
        kept: 16_373,
      });
    });

    test("frames that have come together are all handled before a timer of no delay", async () => {
      const socket = await open(fresh("burst"));
      await eventually(async () => {
        const answer = once(socket, "message");
        for (let i = 0; i < 32; i++) socket.send("frame");
        return `${(await answer)[0]}` === "32";
      });
    });

    test("an idle object sleeps within thirteen seconds, whatever is answered for it; a timer keeps it awake", {
      timeout: 60_000,
    }, async ({ expect }) => {
      const name = fresh("leaving");
      const [idle, awake, leaving] = [
        await open(fresh("sleeps")),
        await open(fresh("awake")),
        await open(name),
      ];
      awake.send("stay");
      for (let i = 0; i < 13; i++) {
        const pong = once(idle, "message");
        idle.send("ping");
        await pong;
        await sleep(1_000);
      }
      const said: unknown[] = [];
      for (const socket of [idle, awake]) {
        const answer = once(socket, "message");
        socket.send("notes");
        said.push(JSON.parse(`${(await answer)[0]}`));
      }
      expect(said).toEqual([
        { notes: ["begins with 0", "begins with 1"], heard: true },
        { notes: ["begins with 0"], heard: false },
      ]);
      // One that closes in the sleep is there at the wake, before the event of its end.
      leaving.close(4002);
      expect(await noted(name, "closed")).toEqual([
        "begins with 0",
        "begins with 1",
        'close 4002 "" true 2 1',
        "closed",
      ]);
    });
  });
});

test("an error of an object keeps its name, its text and what it carries, and says that it is remote", async () => {
  expect(await call(fresh("fails"), "fail")).toMatchObject({
    name: "RangeError",
    message: "a test",
    code: "UNAVAILABLE",
    more: { deep: 1 },
    remote: true,
  });
});

test("SQL counts a row, and one more for each index that a statement writes", async () => {
  const statements = {
    "CREATE TABLE numbers (id INTEGER PRIMARY KEY, value TEXT)": [2, 1],
    "INSERT INTO numbers VALUES (1, 'a')": [1, 1],
    "UPDATE numbers SET id = 2 WHERE id = 1": [1, 3],
    "INSERT OR REPLACE INTO numbers VALUES (2, 'b')": [1, 1],
    "UPDATE numbers SET value = 'b' WHERE id = 2": [1, 1],
    "CREATE TABLE names (id TEXT PRIMARY KEY, value TEXT)": [3, 1],
    "INSERT INTO names VALUES ('a', 'a')": [2, 0],
    "INSERT OR REPLACE INTO names VALUES ('a', 'b')": [2, 1],
    "DELETE FROM names WHERE id = 'a'": [1, 1],
    "CREATE TABLE bare (id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID": [2, 1],
    "INSERT INTO bare VALUES ('a', 'a')": [1, 0],
    "CREATE TABLE indexed (id INTEGER PRIMARY KEY, one TEXT, two TEXT)": [2, 1],
    "CREATE INDEX one ON indexed (one)": [1, 2],
    "CREATE INDEX two ON indexed (two)": [1, 2],
    "INSERT INTO indexed VALUES (1, 'a', 'b'), (2, 'c', 'd'), (3, 'e', 'f')": [9, 3],
    "DELETE FROM indexed WHERE id = 1": [1, 1],
    "DELETE FROM indexed": [2, 0],
  };
  expect(await call(fresh("counts"), "counts", Object.keys(statements))).toEqual(
    Object.values(statements),
  );
});

test("SQL takes a number for REAL and a boolean for text, unless the column makes it another", async () => {
  // A column INTEGER, one TEXT, and one that says nothing.
  expect(await call(fresh("bindings"), "bindings")).toEqual([
    ["integer", "text", "real"],
    ["integer", "text", "real"],
    ["real", "text", "real"],
    ["text", "text", "text"],
    ["integer", "text", "text"],
    ["null", "null", "null"],
    ["blob", "blob", "blob"],
    "TypeError",
  ]);
});
