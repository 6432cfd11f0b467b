/**
 * Writes the OpenAPI document of the server API from its descriptors. With --check it changes nothing and fails
 * when what is committed is not what it would write.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createFileRegistry, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  MAX_API_PUBLICATIONS,
  MAX_CHANNEL_BYTES,
  MAX_DESTINATIONS,
  MAX_LISTED_CHANNELS,
  MAX_TICKET_CHANNELS,
  MAX_TICKET_TTL_MS,
  MAX_TOKEN_ID_BYTES,
  MAX_TRACE_MS,
  MAX_USER_ID_BYTES,
} from "../src/protocol/limits.ts";
import { root } from "./run.mjs";

const SERVICE = "messageloop.server.v1.APIService";
const OUT = "src/http/api/gen/openapi.ts";

/** A channel's name: words between dots, none of them empty or a wildcard, without control characters. */
const CHANNEL = {
  minLength: 1,
  maxLength: MAX_CHANNEL_BYTES,
  pattern:
    "^(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+(\\.(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+)*$",
};

/** The same, or a pattern: any word may be `*`, and the last one `**`. */
const PATTERN = "^((?!\\*\\*\\.)[^.\\x00-\\x1f\\x7f-\\x9f]+\\.)*[^.\\x00-\\x1f\\x7f-\\x9f]+$";

/** What fields have to keep to beside their types. */
const BOUNDS = {
  "messageloop.server.v1.PublishRequest.publications": { maxItems: MAX_API_PUBLICATIONS },
  "messageloop.server.v1.Publication.Destination.sessions": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.Publication.Destination.channels": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.Publication.Destination.users": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.DisconnectRequest.sessions": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.DisconnectRequest.users": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.SubscribeRequest.channels": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.UnsubscribeRequest.channels": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.SurveyRequest.timeout_ms": { minimum: 0 },
  "messageloop.server.v1.HistoryRequest.channel": CHANNEL,
  "messageloop.server.v1.RemoveHistoryRequest.channel": CHANNEL,
  "messageloop.server.v1.PresenceRequest.channel": CHANNEL,
  "messageloop.server.v1.ChannelsRequest.limit": { minimum: 1, maximum: MAX_LISTED_CHANNELS },
  "messageloop.server.v1.CreateTicketRequest.channels": {
    minItems: 1,
    maxItems: MAX_TICKET_CHANNELS,
    items: { type: "string", minLength: 1, maxLength: MAX_CHANNEL_BYTES, pattern: PATTERN },
  },
  "messageloop.server.v1.CreateTicketRequest.user_id": { maxLength: MAX_USER_ID_BYTES },
  "messageloop.server.v1.RevokeRequest.users": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.RevokeRequest.tokens": { maxItems: MAX_DESTINATIONS },
  "messageloop.server.v1.RevokedToken.user": { minLength: 1, maxLength: MAX_USER_ID_BYTES },
  "messageloop.server.v1.RevokedToken.id": { minLength: 1, maxLength: MAX_TOKEN_ID_BYTES },
  "messageloop.server.v1.TraceRequest.duration_ms": { minimum: 0, maximum: MAX_TRACE_MS },
  "messageloop.server.v1.CreateTicketRequest.ttl_ms": {
    anyOf: [{ const: 0 }, { minimum: 1_000, maximum: MAX_TICKET_TTL_MS }],
  },
};

/** Refusals of a whole call, by status. */
const PROBLEMS = {
  400: ["invalid_argument", "The request, or a value in it, is not valid."],
  401: ["unauthenticated", "The key is missing, wrong or expired, or the server has none."],
  403: ["permission_denied", "The key is not good for this."],
  408: ["deadline_exceeded", "The request was not whole after 30 s."],
  415: ["UNSUPPORTED_TYPE", "The content type is not one that is read here."],
  429: ["resource_exhausted", "Too much at once, or at all: `Retry-After` says when to come back."],
  500: ["internal", "A fault of the server, which its log tells of."],
  501: ["unimplemented", "This deployment does not have what was asked for."],
  503: ["unavailable", "The outcome is unknown: ask again."],
};

const PROBLEM = {
  type: "object",
  required: ["code", "message"],
  properties: {
    code: { type: "string", description: "Of Connect, such as `invalid_argument`." },
    message: { type: "string", description: "For people." },
    details: {
      type: "array",
      description: "The same as messages; the first is a `messageloop.shared.v1.Error`.",
      items: { type: "object" },
    },
  },
};

const SCALARS = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.INT32]: {
    type: "integer",
    format: "int32",
    minimum: -(2 ** 31),
    maximum: 2 ** 31 - 1,
  },
  [ScalarType.UINT32]: { type: "integer", minimum: 0, maximum: 2 ** 32 - 1 },
  [ScalarType.UINT64]: { type: "string", format: "uint64", pattern: "^[0-9]{1,19}$" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
};

const WELL_KNOWN = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Struct": { type: "object" },
  "google.protobuf.Any": {
    type: "object",
    required: ["@type"],
    properties: { "@type": { type: "string" } },
    description: "JSON has no form for a type that the server does not know: send `binary_data`.",
  },
};

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const registry = readRegistry();
const comments = readComments();
const schemas = {};
const text = render(documentOf(registry.getService(SERVICE)));

const file = join(root, OUT);
if (process.argv.includes("--check")) {
  if (committed() !== text) {
    console.error(`${OUT} is stale, run node scripts/openapi.mjs`);
    process.exit(1);
  }
} else {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function documentOf(service) {
  const paths = Object.fromEntries(
    service.methods.map((method) => [
      `/${service.typeName}/${method.name}`,
      { post: operationOf(service, method) },
    ]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "MessageLoop server API",
      version,
      description:
        "What an application's backend may ask of MessageLoop. Items of a request succeed or fail by themselves: " +
        "an answer with status 200 has an `error` at each item that was refused. The same calls are there by " +
        "Connect, gRPC-Web and gRPC.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The server that this document comes from." }],
    tags: [{ name: service.name, description: comments.get(service.typeName) }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "A key of the server API, `ml_ID_SECRET`.",
        },
      },
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([status, [code, description]]) => [
          `problem${status}`,
          {
            description,
            content: {
              "application/json": {
                schema: ref("Problem"),
                example: { code, message: description },
              },
            },
          },
        ]),
      ),
      schemas: { Problem: PROBLEM, ...sorted(schemas) },
    },
  };
}

function operationOf(service, method) {
  const description = comments.get(`${service.typeName}.${method.name}`) ?? "";
  const [summary = ""] = description.split(/(?<=\.)\s/, 1);
  const problems = Object.keys(PROBLEMS).map((status) => [
    status,
    { $ref: `#/components/responses/problem${status}` },
  ]);
  return {
    operationId: method.name,
    tags: [service.name],
    summary: summary.replace(/\.$/, ""),
    description,
    requestBody: {
      required: true,
      content: { "application/json": { schema: messageOf(method.input) } },
    },
    responses: {
      200: {
        description: "The answer.",
        content: { "application/json": { schema: messageOf(method.output) } },
      },
      ...Object.fromEntries(problems),
    },
  };
}

/** A reference to a message's schema, which is made the first time. */
function messageOf(message) {
  const known = WELL_KNOWN[message.typeName];
  if (known !== undefined) return known;
  if (schemas[message.typeName] === undefined) {
    // A message may hold itself.
    schemas[message.typeName] = {};
    schemas[message.typeName] = schemaOf(message);
  }
  return ref(message.typeName);
}

function schemaOf(message) {
  const properties = message.fields.map((field) => [field.name, propertyOf(field)]);
  const description = comments.get(message.typeName);
  const choices = message.oneofs.map(({ fields }) => atMostOne(fields.map(({ name }) => name)));
  return {
    type: "object",
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries(properties),
    ...(choices.length === 0 ? {} : { allOf: choices }),
  };
}

/** Of these properties one may be there, or none. */
function atMostOne(names) {
  const there = (name) => ({ properties: { [name]: {} }, required: [name] });
  return { oneOf: [...names.map(there), { not: { anyOf: names.map(there) } }] };
}

function propertyOf(field) {
  const description = comments.get(`${field.parent.typeName}.${field.name}`);
  const schema = typeOf(field);
  const more = {
    ...(description === undefined ? {} : { description }),
    ...BOUNDS[`${field.parent.typeName}.${field.name}`],
  };
  return { ...schema, ...more };
}

function typeOf(field) {
  switch (field.fieldKind) {
    case "list":
      return { type: "array", items: elementOf(field.listKind, field) };
    case "map":
      return { type: "object", additionalProperties: elementOf(field.mapKind, field) };
    default:
      return elementOf(field.fieldKind, field);
  }
}

function elementOf(kind, field) {
  if (kind === "message") return messageOf(field.message);
  if (kind === "enum") return { type: "string", enum: field.enum.values.map(({ name }) => name) };
  return SCALARS[field.scalar];
}

function ref(name) {
  return { $ref: `#/components/schemas/${name}` };
}

function sorted(table) {
  return Object.fromEntries(Object.entries(table).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function readRegistry() {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-openapi-"));
  try {
    const image = join(folder, "image.binpb");
    const buf = join(root, "node_modules/.bin/buf");
    execFileSync(buf, ["build", "--as-file-descriptor-set", "-o", image], { cwd: root });
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(image)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is said of each thing, by its full name: as one line, for people. */
function readComments() {
  const found = new Map();
  for (const { proto } of registry.files) {
    const names = namesOf(proto);
    for (const { path, leadingComments } of proto.sourceCodeInfo?.location ?? []) {
      const name = names.get(path.join("."));
      const said = leadingComments.trim().replaceAll(/\s+/g, " ");
      if (name !== undefined && said !== "") found.set(name, said);
    }
  }
  return found;
}

/** Full names of the things in a file, by the paths that comments are kept by. */
function namesOf({ package: name, messageType, service }) {
  const names = new Map();
  const add = (message, at, within) => {
    const full = `${within}.${message.name}`;
    names.set(at, full);
    for (const [i, field] of message.field.entries())
      names.set(`${at}.2.${i}`, `${full}.${field.name}`);
    for (const [i, nested] of message.nestedType.entries()) add(nested, `${at}.3.${i}`, full);
  };
  for (const [i, message] of messageType.entries()) add(message, `4.${i}`, name);
  for (const [i, one] of service.entries()) {
    names.set(`6.${i}`, `${name}.${one.name}`);
    for (const [j, method] of one.method.entries()) {
      names.set(`6.${i}.2.${j}`, `${name}.${one.name}.${method.name}`);
    }
  }
  return names;
}

function render(document) {
  return `// Written by scripts/openapi.mjs from proto/. Do not edit.
/** The OpenAPI document of the server API. */
export const OPENAPI: object = ${JSON.stringify(document, null, 2)};
`;
}

function committed() {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
