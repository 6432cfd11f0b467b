/** What is remembered for a session: of the tab in a page, of the process elsewhere. */

/** The part of a `Storage` that is used. */
export interface SessionMemory {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const ofProcess = new Map<string, string>();

/** `sessionStorage`, and where there is none, or it is not to be touched, the memory of the process. */
export const sessionMemory: SessionMemory = {
  getItem(key) {
    return ofTab((storage) => storage.getItem(key)) ?? ofProcess.get(key) ?? null;
  },
  setItem(key, value) {
    ofProcess.set(key, value);
    ofTab((storage) => storage.setItem(key, value));
  },
  removeItem(key) {
    ofProcess.delete(key);
    ofTab((storage) => storage.removeItem(key));
  },
};

/** A page that is shut off from storage throws where it looks at it, and one that is full where it writes. */
function ofTab<T>(use: (storage: SessionMemory) => T): T | undefined {
  try {
    return use(globalThis.sessionStorage);
  } catch {
    return undefined;
  }
}
