/** Where the key is while the console is open: in memory, or until the tab is closed where the operator asks for that. */

const NAME = "messageloop-console-key";

export function keptKey(): string | undefined {
  try {
    return sessionStorage.getItem(NAME) ?? undefined;
  } catch {
    // Storage may be switched off.
    return undefined;
  }
}

export function keepKey(key: string): void {
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // Then it is in memory alone.
  }
}

export function dropKey(): void {
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // Then it was never there.
  }
}
