import { createWorker } from "messageloop-server/worker";
import config from "./config.json";

export {
  ChannelDurableObject,
  GatewayDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "messageloop-server/worker";

export default createWorker({ config });
