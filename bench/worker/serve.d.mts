/** `serve.mjs` for those who are compiled. */

export interface ServeOptions {
  /** Fresh folder for configuration and storage. */
  readonly folder: string;
  /** Path of the bundle, one ES module, relative to the folder. */
  readonly module: string;
  /** Names of its Durable Object classes. */
  readonly objects: readonly string[];
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

export interface ServedWorker {
  readonly port: number;
  readonly pid: number;
  /** Number of objects of a class that have stored something. */
  count(object: string): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a program on a free loopback port, its objects on disk in a folder of its own. */
export function serve(options: ServeOptions): Promise<ServedWorker>;
