/** Sessions of HTTP/2 whose errors nothing else listens to. */
import { EventEmitter } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { expect, test } from "vitest";
import { HeardSessions, type Sessions } from "../../src/server/backends/heard-sessions.ts";

test("a session that fails when its manager has left it ends nothing", async () => {
  const session = new EventEmitter();
  const read: ClientHttp2Stream[] = [];
  const stream = { session } as unknown as ClientHttp2Stream;
  const sessions = new HeardSessions({
    authority: "http://backend",
    request: async () => stream,
    notifyResponseByteRead: (from) => read.push(from),
  } satisfies Sessions);
  expect(() => session.emit("error", new Error("gone"))).toThrow("gone");
  for (let call = 0; call < 20; call++) {
    expect(await sessions.request("POST", "/", {}, {})).toBe(stream);
  }
  session.emit("error", new Error("gone"));
  expect(session.listenerCount("error")).toBe(1);
  sessions.notifyResponseByteRead(stream);
  expect(read).toEqual([stream]);
  expect(sessions.authority).toBe("http://backend");
});
