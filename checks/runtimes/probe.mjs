/**
 * What a runtime's WebSocket does, in words: the same program in browsers, Node, Bun, Deno and with `ws`. The server at the
 * other end is `bare-server.ts`; each path has a behaviour of its own.
 */

/** How long a close that nothing comes of is watched, in seconds. */
const WATCHED_S = 75;
const MIB = 1 << 20;

/**
 * @param {typeof WebSocket} WebSocket the class to be looked at
 * @param {string} server such as `ws://127.0.0.1:1234`
 * @param {string} nobody an address where nobody listens
 * @returns {Promise<Record<string, string>>} by row of docs/runtimes.md, what was seen
 */
export async function probe(WebSocket, server, nobody) {
  const open = (path, protocols = []) => new WebSocket(`${server}/${path}`, protocols);
  const slow = [
    ["a close that is never answered", closing(open("unanswered"))],
    ["a close that is answered, TCP left open", closing(open("left-open"))],
  ];
  const seen = {
    "connection ended (FIN)": await ending(open("fin")),
    "connection reset (RST)": await ending(open("reset")),
    "connection refused": await ending(new WebSocket(nobody)),
    "what the error event says of a refused connection": await errorText(new WebSocket(nobody)),
    "what the error event says of HTTP 401": await errorText(open("401")),
    "server closes with 3512": await ending(open("drain")),
    "server closes with 3512 and ends TCP at once": await ending(open("drain-and-end")),
    "server picks no subprotocol": await picked(open("none", ["asked"])),
    "server picks another subprotocol": await picked(open("foreign", ["asked"])),
    "20 frames that come after close()": await afterClose(open("late")),
    "5 frames in the packet of the 101, listener added after await open": await early(
      open("early"),
      0,
    ),
    "the same, listener added 20 ms later": await early(open("early"), 20),
    "microtasks between frames of one packet": await microtasks(open("burst")),
    "bufferedAmount after send of 1 MiB": await buffered(open("idle")),
    "addEventListener with a signal": await signalled(open("burst")),
    "close(1001)": await closedWith(open("idle"), 1001),
  };
  for (const [name, result] of slow) seen[name] = await result;
  return seen;
}

const once = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve));
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Which events end a socket, such as `error, 1006`. */
async function ending(socket) {
  const events = [];
  socket.addEventListener("error", () => events.push("error"));
  const { code, wasClean } = await once(socket, "close");
  const clean = code === 3512 ? [wasClean ? "clean" : "not clean"] : [];
  return [...events, String(code), ...clean].join(", ");
}

async function errorText(socket) {
  const { message = "", error } = await once(socket, "error");
  const text = [message, error?.message, error?.code].join(" ");
  if (text.includes("401")) return "the status";
  if (/refused/i.test(text)) return "that it was refused";
  if (text.includes("tcp connect error")) return "that TCP did not connect";
  return text.trim() === "" ? "nothing" : `"${message}"`;
}

async function closing(socket) {
  await once(socket, "open");
  const started = performance.now();
  socket.close(3000);
  const end = await Promise.race([ending(socket), later(WATCHED_S * 1_000)]);
  if (end === undefined) return `not within ${WATCHED_S} s`;
  const seconds = Math.round((performance.now() - started) / 1_000);
  return seconds === 0 ? `at once: ${end}` : `after ${seconds} s: ${end}`;
}

async function picked(socket) {
  const opened = once(socket, "open").then(() => `opens, protocol "${socket.protocol}"`);
  const result = await Promise.race([opened, ending(socket).then(() => "fails")]);
  if (result !== "fails") socket.close();
  return result;
}

async function afterClose(socket) {
  await once(socket, "open");
  let count = 0;
  socket.addEventListener("message", () => {
    count += 1;
  });
  socket.close(3000);
  await once(socket, "close");
  return count === 0 ? "dropped" : `${count} delivered`;
}

async function early(socket, ms) {
  await once(socket, "open");
  if (ms > 0) await later(ms);
  let count = 0;
  socket.addEventListener("message", () => {
    count += 1;
  });
  await later(500);
  socket.close();
  return count === 0 ? "lost" : `${count} heard`;
}

async function microtasks(socket) {
  await once(socket, "open");
  const order = [];
  socket.addEventListener("message", ({ data }) => {
    order.push(data);
    queueMicrotask(() => order.push("task"));
  });
  socket.send("go");
  await later(500);
  socket.close();
  return order[1] === "task" ? "run" : "do not run";
}

async function buffered(socket) {
  await once(socket, "open");
  socket.send(new Uint8Array(MIB));
  const { bufferedAmount } = socket;
  socket.close();
  return String(bufferedAmount);
}

async function signalled(socket) {
  await once(socket, "open");
  const listening = new AbortController();
  let count = 0;
  const heard = () => {
    count += 1;
  };
  socket.addEventListener("message", heard, { signal: listening.signal });
  listening.abort();
  socket.send("go");
  await later(500);
  socket.close();
  return count === 0 ? "works" : "ignored";
}

async function closedWith(socket, code) {
  await once(socket, "open");
  try {
    socket.close(code);
    return "accepted";
  } catch (error) {
    socket.close();
    return error.name;
  }
}
