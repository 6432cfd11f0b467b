/**
 * What keeps a server from starting, in one sentence for an operator.
 *
 * @example
 * try {
 *   await server.start();
 * } catch (error) {
 *   if (!(error instanceof StartError)) throw error;
 *   console.error(error.message); // such as that a port is in use
 * }
 */
export class StartError extends Error {
  override readonly name = "StartError";
}
