/** A host whose backend is a service of its own: the suite's functions, called over a network by configuration alone. */
import { type RunningBackend, serveGrpc, serveHttp } from "../../support/proxy-service.ts";
import { suiteBackend } from "../backend.ts";
import type { Host, RunningServer, ServerOptions } from "../host.ts";

/** How the backend is called. */
export type Call = "http" | "connect" | "grpc" | "binding";

const NO_ENGINE = () => {
  throw new Error("a backend of its own has no engine");
};

export function overNetwork(host: Host, call: Call): Host {
  return {
    capabilities: host.capabilities && {
      ...host.capabilities,
      name: `${host.capabilities.name}, backend by ${call}`,
    },
    opens: "nothing",
    kinds: "all",
    configurable: host.configurable,
    async start(options: ServerOptions): Promise<RunningServer> {
      const { backend = "none", settings } = options;
      if (backend === "none") return await host.start(options);
      const service = await serviceFor(call, backend);
      const proxy = [
        { name: "suite", routes: [{ channel: "*", method: "*" }], ...way(call, service?.port) },
      ];
      const authenticate = backend === "closed" ? { authenticate: "suite" } : {};
      const server = await host.start({
        ...options,
        backend: "none",
        settings: { ...settings, proxy, hooks: { subscribe: "suite", ...authenticate } },
      });
      return {
        ...server,
        stop: async () => {
          await server.stop();
          await service?.stop();
        },
      };
    },
    ...(host.stop === undefined ? {} : { stop: () => host.stop?.() as Promise<void> }),
  };
}

async function serviceFor(call: Call, backend: string): Promise<RunningBackend | undefined> {
  // The Worker has it itself.
  if (call === "binding") return undefined;
  const functions = suiteBackend(NO_ENGINE, backend === "closed");
  return call === "grpc" ? await serveGrpc(functions) : await serveHttp(functions);
}

function way(call: Call, port = 0): object {
  switch (call) {
    case "http":
      return { endpoint: `http://127.0.0.1:${port}/hooks` };
    case "connect":
      return { endpoint: `http://127.0.0.1:${port}`, connect: {} };
    case "grpc":
      return { endpoint: `127.0.0.1:${port}`, grpc: { insecure: true } };
    case "binding":
      return { binding: "SUITE" };
  }
}
