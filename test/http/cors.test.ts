/** Pages at a door: those that may connect by WebSocket, named one by one. */
import { expect, test } from "vitest";
import { admit, refusalOf } from "../../src/http/cors.ts";
import type { HandshakeRules } from "../../src/http/handshake.ts";

const ALLOWED = "https://page.example";
const DOOR = { methods: ["POST"], headers: ["Content-Type", "X-Own"], exposed: ["Grpc-Status"] };

function visit(
  method: string,
  headers: Readonly<Record<string, string>>,
  rules: HandshakeRules = { allowedOrigins: [ALLOWED] },
) {
  const all = new Headers({ Host: "own.example", ...headers });
  return admit({ method, header: (name) => all.get(name) }, rules, DOOR);
}

test.each([
  ["one that is allowed", { Origin: ALLOWED }, {}],
  ["one of the server's own host", { Origin: "https://own.example" }, {}],
  ["any, where all are", { Origin: "https://else.example" }, { allowedOrigins: ["*"] }],
])("an origin is named, and no other, and never by *: %s", (_, headers, rules) => {
  const admission = visit("POST", headers, { allowedOrigins: [ALLOWED], ...rules });
  expect(admission).toEqual({
    admitted: true,
    headers: {
      Vary: "Origin",
      "Access-Control-Allow-Origin": headers.Origin,
      "Access-Control-Expose-Headers": "Grpc-Status",
    },
  });
});

test("a client that is no page is told nothing of pages, but caches are", () => {
  expect(visit("POST", {})).toEqual({ admitted: true, headers: { Vary: "Origin" } });
});

test("a preflight is answered with what the door takes", () => {
  const admission = visit("OPTIONS", { Origin: ALLOWED, "Access-Control-Request-Method": "PUT" });
  if (admission.admitted) throw new Error("a preflight is no work for the door");
  const answer = refusalOf(admission);
  expect(answer.status).toBe(204);
  expect(Object.fromEntries(answer.headers)).toEqual({
    vary: "Origin",
    "access-control-allow-origin": ALLOWED,
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "Content-Type, X-Own",
    "access-control-max-age": "7200",
  });
});

test("OPTIONS that is no preflight is the door's to refuse", () => {
  expect(visit("OPTIONS", { Origin: ALLOWED }).admitted).toBe(true);
  expect(visit("OPTIONS", { "Access-Control-Request-Method": "POST" }).admitted).toBe(true);
});

test.each([
  ["POST", { Origin: "https://else.example" }, {}],
  ["OPTIONS", { Origin: "https://else.example", "Access-Control-Request-Method": "POST" }, {}],
  ["POST", { Origin: "null" }, {}],
  ["POST", { Origin: `${ALLOWED}.evil.example` }, {}],
  ["POST", { Origin: `${ALLOWED}:444` }, {}],
  ["POST", { Origin: ALLOWED }, { allowedHosts: ["other.example"] }],
  ["POST", {}, { allowedHosts: ["other.example"] }],
])(
  "a stranger is refused before anything is done for it: %s %o %o",
  async (method, headers, rules) => {
    const admission = visit(method, headers, { allowedOrigins: [ALLOWED], ...rules });
    if (admission.admitted) throw new Error("it was let in");
    expect(admission.reason).toMatch(/^the (?:origin|host) /);
    const answer = refusalOf(admission);
    expect([answer.status, await answer.text(), answer.headers.get("vary")]).toEqual([
      403,
      "Forbidden",
      "Origin",
    ]);
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  },
);
