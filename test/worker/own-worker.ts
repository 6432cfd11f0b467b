/** A Worker as an application writes it: its own backends, its own routes, MessageLoop's objects. */
import { create } from "@bufbuild/protobuf";
import {
  type Backends,
  CloudEventSchema,
  createRouter,
  createWorker,
  GatewayDurableObject as Gateway,
  MessagingError,
} from "../../src/worker/library.ts";

export { ChannelDurableObject, PatternDurableObject } from "../../src/worker/library.ts";

export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    return createRouter()
      .add(
        { channel: "", method: "$authenticate" },
        {
          authenticate: async ({ token }) => {
            if (token !== "sesame") throw new MessagingError("AUTH_ERROR", "wrong token");
            return { userId: "ali" };
          },
        },
      )
      .add(
        { channel: "time", method: "now" },
        {
          rpc: async ({ caller }) =>
            create(CloudEventSchema, {
              id: "now",
              source: "/clock",
              type: "time",
              data: { case: "textData", value: `it is late, ${caller.userId}` },
            }),
        },
      );
  }
}

export default createWorker({
  fallback: (request) => new Response(`mine: ${new URL(request.url).pathname}`),
});
