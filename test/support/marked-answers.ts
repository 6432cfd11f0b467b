/**
 * Answers of a backend over HTTP with a marker in places that no client may see, and the ways in which it is asked:
 * the same for every host.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

export const MARKER = "marker-10.1.2.3";
export const JSON_TYPE = { "content-type": "application/json" };

export type Answer = (response: ServerResponse, request: IncomingMessage) => unknown;

const json = (value: unknown): string => JSON.stringify(value);

/** By the place where the marker stands. */
export const MARKED_ANSWERS: Readonly<Record<string, Answer>> = {
  "the reason, a header and the body of a failure": (response) =>
    response.writeHead(500, MARKER, { "x-secret": MARKER }).end(MARKER),
  "the reason and the body of a refusal": (response) =>
    response.writeHead(403, MARKER, JSON_TYPE).end(json({ error: MARKER, message: MARKER })),
  "an error field beside a status": (response) =>
    response.writeHead(500, JSON_TYPE).end(json({ error: { code: MARKER, message: MARKER } })),
  "headers and trailers of an answer": (response) => {
    response.writeHead(200, MARKER, { ...JSON_TYPE, "x-secret": MARKER, trailer: "x-end" });
    response.addTrailers({ "x-end": MARKER });
    response.end(json({ [MARKER]: MARKER, user_info: { id: "ada", token: MARKER } }));
  },
  "the content type": (response) =>
    response.writeHead(200, { "content-type": `text/${MARKER}` }).end(MARKER),
  "what is no JSON": (response) => response.writeHead(200, JSON_TYPE).end(`{"a":${MARKER}`),
  "values of the wrong type": (response) =>
    response
      .writeHead(200, JSON_TYPE)
      .end(json({ error: [MARKER], payload: MARKER, user_info: { id: [MARKER] } })),
  "a redirect": (response) =>
    response.writeHead(302, MARKER, { location: `http://${MARKER}/` }).end(MARKER),
  "an encoding": (response) =>
    response.writeHead(200, { ...JSON_TYPE, "content-encoding": MARKER }).end(MARKER),
  "an error of Connect": (response) =>
    response
      .writeHead(500, MARKER, JSON_TYPE)
      .end(json({ code: "internal", message: MARKER, details: [{ type: MARKER, value: "" }] })),
  "a refusal of Connect": (response) =>
    response.writeHead(403, JSON_TYPE).end(json({ code: "permission_denied", message: MARKER })),
  "a connection that breaks in the body": (response) => {
    response.writeHead(200, { ...JSON_TYPE, "content-length": "1000" }).write(MARKER);
    setTimeout(() => response.destroy(), 10);
  },
};

/** What a backend states in its field `error` is meant to be seen. */
export const stated: Answer = (response) =>
  response.writeHead(200, JSON_TYPE).end(json({ error: { code: "NO", message: MARKER } }));

/** An event in the binary mode, with a header that is percent-encoded; its subject is `café, 100%`. */
export const binary: Answer = (response) =>
  response
    .writeHead(200, {
      ...JSON_TYPE,
      "ce-specversion": "1.0",
      "ce-id": "a1",
      "ce-source": "/orders",
      "ce-type": "order",
      "ce-subject": "caf%C3%A9,%20100%25",
    })
    .end(json({ total: 3 }));

/** The same by a sender that does not encode: the bytes of UTF-8 stand in the header. */
export const binaryRaw: Answer = (response) =>
  response
    .writeHead(200, {
      ...JSON_TYPE,
      "ce-specversion": "1.0",
      "ce-id": "a1",
      "ce-source": "/orders",
      "ce-type": "order",
      "ce-subject": Buffer.from("café, 100%").toString("latin1"),
    })
    .end(json({ total: 3 }));

/** Ways of asking a backend over HTTP, by what its configuration says. */
export const WAYS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  json: {},
  cloudevents: { http: { payload: "cloudevents" } },
  "v0.1.1": { http: { payload: "v0.1.1" } },
  connect: { connect: {} },
};
