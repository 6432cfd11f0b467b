/** A Durable Object's storage beside its SQLite. */
import type { ObjectStorage } from "../objects/ports/storage.ts";

/** The part of a Durable Object's storage that every object needs. `forget` deletes the alarm and all tables. */
export function objectStorage({ storage }: DurableObjectState): ObjectStorage {
  return {
    setAlarm: (at) => storage.setAlarm(at),
    forget: () => Promise.all([storage.deleteAlarm(), storage.deleteAll()]),
  };
}
