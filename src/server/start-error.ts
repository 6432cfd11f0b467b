/** What keeps a server from starting, in one sentence for an operator. */
export class StartError extends Error {
  override readonly name = "StartError";
}
