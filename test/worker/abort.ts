/** Resets an object as a failing machine does: its memory and its sockets are gone, its database stays. */
import { runInDurableObject } from "cloudflare:test";

/**
 * The stub is broken afterwards, as every stub of the object is that was used. An object can only be
 * aborted by code that runs in it: with a state that was carried out of it nothing happens.
 */
export async function abort(stub: DurableObjectStub): Promise<void> {
  await runInDurableObject(stub, (_, state) => state.abort("fault")).catch(() => {
    // Aborting throws where it is called.
  });
}
