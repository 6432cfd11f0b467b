/** Which offers of compression a server can keep to. */
import { expect, test } from "vitest";
import { agreement } from "../../../src/server/transport/deflate/agreement.ts";

const TERMS = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

test.each([
  "permessage-deflate",
  // Firefox, then Chromium, Node and `ws`.
  "permessage-deflate; client_max_window_bits",
  "permessage-deflate; client_max_window_bits=8",
  'permessage-deflate; client_max_window_bits="15"',
  "permessage-deflate;client_no_context_takeover;server_no_context_takeover",
  "  permessage-deflate ;\tclient_max_window_bits  ",
  "x-webkit-deflate-frame, permessage-deflate",
  "permessage-deflate; server_max_window_bits=10, permessage-deflate",
  "permessage-deflate; unheard=of, permessage-deflate; client_max_window_bits",
])("taken: %s", (offers) => {
  expect(agreement(offers)).toBe(TERMS);
});

test.each([
  "permessage-deflate; server_max_window_bits=15",
  'permessage-deflate; server_max_window_bits="15"; client_max_window_bits=9',
  "permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=15",
])("with the window that is asked for: %s", (offers) => {
  expect(agreement(offers)).toBe(`${TERMS}; server_max_window_bits=15`);
});

test.each([
  "",
  ",",
  ";",
  "permessage-deflate;",
  "permessage-bzip2",
  "PERMESSAGE-DEFLATE",
  "permessage-deflate; server_max_window_bits",
  "permessage-deflate; server_max_window_bits=14",
  "permessage-deflate; server_max_window_bits=015",
  "permessage-deflate; server_max_window_bits=16",
  "permessage-deflate; client_max_window_bits=7",
  "permessage-deflate; client_max_window_bits=16",
  "permessage-deflate; client_max_window_bits=010",
  'permessage-deflate; client_max_window_bits=""',
  'permessage-deflate; client_max_window_bits="10',
  "permessage-deflate; client_no_context_takeover=true",
  "permessage-deflate; server_no_context_takeover=1",
  "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
  "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
  "permessage-deflate; unheard_of",
  "permessage-deflate; constructor",
  "permessage-deflate client_max_window_bits",
])("declined: %s", (offers) => {
  expect(agreement(offers)).toBeUndefined();
});
