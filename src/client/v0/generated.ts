/** What of this entry is about messages of the generated schema, and needs the protobuf runtime. */
export { create } from "@bufbuild/protobuf";
export { codecFor } from "../../protocol/codec.ts";
export { InboundMessageSchema } from "../../protocol/gen/messageloop/v1/service_pb.js";
export { fromWireEvent, toWireEvent } from "./events.ts";
