/** `messageloop/shared-worker`: the script of a SharedWorker that serves tabs. */
import { protobuf } from "../protobuf/index.ts";
import { serveTabs } from "./serve-tabs.ts";

serveTabs({ encodings: [protobuf] });
