/** What the SDK loads of the tables says what the tables say. */
import { expect, test } from "vitest";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { reconnects } from "../../src/protocol/lean/reconnects.ts";

test("the short form of the close codes is that of the table", () => {
  const entries = Object.values(DISCONNECTS);
  expect(entries.map(({ code }) => [code, reconnects(code)])).toEqual(
    entries.map(({ code, reconnect }) => [code, reconnect]),
  );
});
