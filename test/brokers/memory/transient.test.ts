/** The memory broker hands over what is outside of the logs. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { TransientSchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { stage } from "./stage.ts";

test("messages outside of the log come in the next turn, and begin no channel", async () => {
  const { broker, told } = stage();
  const message = (id: string) => create(TransientSchema, { id });
  await broker.transmit("a", message("1"));
  await broker.transmit("b", message("2"));
  await broker.transmit("a", message("3"));
  expect(told).toEqual([]);
  broker.flush();
  expect(told).toEqual(["a transient 1,3", "b transient 2"]);
  expect(broker.size).toBe(0);
  broker.flush();
  expect(told).toHaveLength(2);
});
