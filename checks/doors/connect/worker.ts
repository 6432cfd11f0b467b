/** The Worker that the conformance runner makes its calls of. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { serveWorker } from "../../../bench/targets/workerd.ts";
import { wranglerOf } from "../../../bench/targets/wrangler.ts";
import type { ConformanceOptions, Serving } from "./service.ts";

/** The Worker's own answer to calls, in a Worker that has nothing else. */
export async function serveByWorker(options: ConformanceOptions): Promise<Serving> {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const { descriptors, ...rest } = options;
  const bundled = await build({
    stdin: {
      contents: `
        import { createContextValues } from "@connectrpc/connect";
        import { conformanceRoutes } from "./checks/doors/connect/service.ts";
        import { connectServices } from "./src/worker/doors/connect.ts";
        const descriptors = Uint8Array.from(atob(DESCRIPTORS), (c) => c.charCodeAt(0));
        const answer = connectServices(conformanceRoutes({ descriptors, ...OPTIONS }));
        export default { fetch: (request) => answer(request, createContextValues()) };
      `,
      resolveDir: root,
    },
    define: {
      DESCRIPTORS: JSON.stringify(Buffer.from(descriptors).toString("base64")),
      OPTIONS: JSON.stringify(rest),
    },
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["node:*", "cloudflare:*"],
    write: false,
  });
  const { terms } = wranglerOf(root);
  const modules = { "main.js": bundled.outputFiles[0]?.text ?? "" };
  return await serveWorker({ modules, objects: [], ...terms });
}
