/** The header `Retry-After`. */

/** A pause in milliseconds; 0 for none, and for a date, which depends on the device's clock. */
export function retryAfterMs(value: string | null | undefined): number {
  return /^\d+$/.test(value ?? "") ? Number(value) * 1_000 : 0;
}
