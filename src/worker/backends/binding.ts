/** Service bindings: other Workers, which are called without a connection. */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * What calls the service binding of a name, or undefined where there is none.
 *
 * @param bindings the Worker's environment
 */
export function bindingOf(bindings: object, name: string): Fetch | undefined {
  const binding = (bindings as Readonly<Record<string, unknown>>)[name];
  const isService = typeof binding === "object" && binding !== null && "fetch" in binding;
  return isService ? (url, init) => (binding as { fetch: Fetch }).fetch(url, init) : undefined;
}
