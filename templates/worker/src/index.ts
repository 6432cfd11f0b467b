import {
  type Backends,
  createWorker,
  GatewayDurableObject as Gateway,
} from "messageloop-server/worker";
import config from "./config.json";

export {
  ChannelDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "messageloop-server/worker";

/** What the server asks of your application. `authenticate` and `authorizeSubscribe` may stand here too. */
export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    return {
      // Answers `client.rpc`: every method with what it was called with.
      rpc: async ({ payload }) => payload,
    };
  }
}

export default createWorker({ config });
