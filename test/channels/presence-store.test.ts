import type { PresenceStore, SessionRow } from "../../src/channels/presence.ts";
import { presenceStoreSuite } from "../conformance/presence-store-suite.ts";

/** A store that outlives the presence over it, as a database does. */
function memoryStore(): PresenceStore {
  const rows = new Map<string, SessionRow>();
  return {
    sessions: () => [...rows.values()].reverse(),
    save: (row) => {
      rows.set(row.sessionId, row);
    },
    drop: (sessionId) => {
      rows.delete(sessionId);
    },
  };
}

presenceStoreSuite(async (run) => {
  const store = memoryStore();
  await run(store, () => store);
});
