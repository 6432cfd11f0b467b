/** A Worker as an application writes it: its own backends, its own routes, MessageLoop's objects. */
import { createCloudEvent } from "../../src/client/core/create-event.ts";
import {
  type Backends,
  createRouter,
  createWorker,
  fromWireEvent,
  GatewayDurableObject as Gateway,
  MessagingError,
  overlaps,
  toWireEvent,
} from "../../src/worker/library.ts";

export {
  ChannelDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "../../src/worker/library.ts";

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
          rpc: async ({ payload, caller }) => {
            const { data } = fromWireEvent(payload);
            const answer = `it is late, ${caller.userId}, said ${data}`;
            return toWireEvent(createCloudEvent({ source: "/clock", type: "time", data: answer }));
          },
        },
      )
      .add(
        { channel: "*", method: "subscribe" },
        {
          authorizeSubscribe: async ({ channel }) => {
            if (overlaps("private.**", channel)) throw new MessagingError("ACL_ERROR", "no");
          },
        },
      );
  }
}

export default createWorker({
  config: { limits: { message_bytes: 2_048 } },
  fallback: (request) => new Response(`mine: ${new URL(request.url).pathname}`),
});
