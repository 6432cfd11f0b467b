/** gRPC's own services: health for load balancers, and reflection for tools. */
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/protocol/gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  type ServerReflectionResponse,
} from "../../src/protocol/gen/grpc/reflection/v1/reflection_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { KEY_ENTRIES } from "../http/api/cases.ts";

const ANY = { addr: "127.0.0.1:0" };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(api: Readonly<Record<string, unknown>> = {}) {
  const server = createServer({
    config: parseConfig({
      api,
      server: { http: ANY, drain_timeout: "2s" },
      transport: { websocket: ANY, grpc: ANY },
    }),
  });
  const { grpc } = await server.start();
  cleanups.push(() => server.stop());
  return { server, transport: createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpc}` }) };
}

test("the server and its services are serving, and others are not there", async () => {
  const { transport } = await start();
  const health = createClient(Health, transport);
  for (const service of ["", "messageloop.v1.MessagingService"]) {
    expect(await health.check({ service })).toMatchObject({ status: Status.SERVING });
  }
  for (const service of ["no.Service", "messageloop.server.v1.APIService"]) {
    await expect(health.check({ service })).rejects.toMatchObject({ code: Code.NotFound });
  }
  const { transport: open } = await start({ keys: KEY_ENTRIES, public: true });
  const service = "messageloop.server.v1.APIService";
  expect((await createClient(Health, open).check({ service })).status).toBe(Status.SERVING);
});

test("who watches is told of changes, and is let go when the server stops", async () => {
  const { server, transport } = await start();
  const health = createClient(Health, transport);
  const told: Status[] = [];
  const strange: Status[] = [];
  const watch = async (service: string, into: Status[], first: () => void): Promise<void> => {
    for await (const { status } of health.watch({ service })) {
      into.push(status);
      first();
    }
  };
  const began = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const watching = [
    watch("", told, began[0].resolve),
    watch("no.Service", strange, began[1].resolve),
  ];
  await Promise.all(began.map(({ promise }) => promise));
  const gone = new AbortController();
  const left = (async () => {
    for await (const _ of health.watch({}, { signal: gone.signal })) gone.abort();
  })();
  await expect(left).rejects.toMatchObject({ code: Code.Canceled });
  await server.stop();
  await Promise.all(watching);
  expect(told).toEqual([Status.SERVING, Status.NOT_SERVING]);
  expect(strange).toEqual([Status.SERVICE_UNKNOWN]);
});

async function* asked(...requests: readonly object[]) {
  for (const messageRequest of requests) yield { host: "h", messageRequest } as never;
}

test("reflection is off unless it is switched on", async () => {
  const { transport } = await start();
  const client = createClient(ServerReflection, transport);
  const ask = async () => {
    for await (const _ of client.serverReflectionInfo(asked({ case: "listServices", value: "" }))) {
      throw new Error("it answered");
    }
  };
  await expect(ask()).rejects.toMatchObject({ code: Code.Unimplemented });
});

test("reflection has the services of the port, with all that their descriptors need", async () => {
  const { transport } = await start({ keys: KEY_ENTRIES, public: true, reflection: true });
  const client = createClient(ServerReflection, transport);
  const answers: ServerReflectionResponse["messageResponse"][] = [];
  const requests = asked(
    { case: "listServices", value: "" },
    { case: "fileContainingSymbol", value: "messageloop.server.v1.APIService.Publish" },
    { case: "fileByFilename", value: "messageloop/v1/service.proto" },
    { case: "fileContainingSymbol", value: "messageloop.server.v1.Publication.Options.dedup" },
    { case: "fileContainingSymbol", value: "no.Such" },
    { case: "fileByFilename", value: "no.proto" },
    { case: "allExtensionNumbersOfType", value: "messageloop.v1.Message" },
    { case: undefined },
  );
  for await (const { messageResponse, validHost } of client.serverReflectionInfo(requests)) {
    expect(validHost).toBe("h");
    answers.push(messageResponse);
  }
  const [services, api, client1, option, ...rest] = answers;
  if (services?.case !== "listServicesResponse") throw new Error("no list");
  expect(services.value.service.map(({ name }) => name)).toEqual([
    "messageloop.v1.MessagingService",
    "messageloop.server.v1.APIService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
  ]);
  for (const [answer, first] of [
    [api, "messageloop/server/v1/api.proto"],
    [client1, "messageloop/v1/service.proto"],
    [option, "messageloop/server/v1/api.proto"],
  ] as const) {
    if (answer?.case !== "fileDescriptorResponse") throw new Error("no file");
    const file = answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    expect(file[0]?.name).toBe(first);
    const registry = createFileRegistry({
      $typeName: FileDescriptorSetSchema.typeName,
      file: file.toReversed(),
    } as never);
    expect(registry.getMessage("messageloop.v1.StreamPosition")).toBeDefined();
  }
  expect(rest.map((one) => one.case)).toEqual([
    "errorResponse",
    "errorResponse",
    "allExtensionNumbersResponse",
    "errorResponse",
  ]);
});
