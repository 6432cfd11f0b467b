/** A Durable Object's storage beside its SQLite. */
import type { ObjectStorage } from "../objects/ports/storage.ts";

export function objectStorage({ storage }: DurableObjectState): ObjectStorage {
  return {
    setAlarm: (at) => storage.setAlarm(at),
    forget: () => Promise.all([storage.deleteAlarm(), storage.deleteAll()]),
  };
}
