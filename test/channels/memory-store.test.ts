import { MemoryLogStore } from "../../src/channels/memory-store.ts";
import { logStoreSuite } from "../conformance/log-store-suite.ts";

logStoreSuite(async (run) => {
  const store = new MemoryLogStore();
  await run(store, () => store);
});
