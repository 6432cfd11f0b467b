/** `google.protobuf.Timestamp` as the text that JSON has for it. */

/**
 * RFC 3339, with as many decimals as there are. What is beyond all dates is text that is no time, for whoever reads it: the
 * rest of the frame has to be read all the same.
 */
export function timestampText(seconds: number, nanos: number): string {
  const text = new Date(seconds * 1_000).toJSON() ?? "no time";
  const decimals =
    nanos === 0
      ? ""
      : `.${String(nanos)
          .padStart(9, "0")
          .replace(/(?:000)+$/, "")}`;
  return text.replace(".000", decimals);
}

/** @throws TypeError for what is no RFC 3339 */
export function timestampParts(text: string): [seconds: number, nanos: number] {
  const seconds = Math.floor(Date.parse(text) / 1_000);
  if (Number.isNaN(seconds)) throw new TypeError(`${text} is no time`);
  const decimals = /\.(\d+)/.exec(text)?.[1] ?? "";
  return [seconds, Number(decimals.padEnd(9, "0").slice(0, 9))];
}
