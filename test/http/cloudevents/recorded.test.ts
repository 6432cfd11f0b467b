/** What the SDKs for JavaScript, Go, Python and Java have sent arrives attribute for attribute. */
import { expect, test } from "vitest";
import { eventReader } from "../../../src/http/cloudevents/events.ts";
import type { CloudEvent } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  arrived,
  EVENT_CASES,
  type EventCase,
  recordedRequests,
  SDKS,
  wanted,
  withoutInventedTime,
} from "../../support/cloudevents.ts";

const ALL = SDKS.flatMap((sdk) =>
  recordedRequests(sdk).map((request) => ({ sdk, name: `${sdk}, ${request.mode}`, request })),
);

test.each(ALL)("$name: $request.case", ({ sdk, request }) => {
  const headers = new Headers(request.headers as [string, string][]);
  const options = { maxEventBytes: 65_536, headersAreText: false };
  const events = eventReader(headers, options).read(request.body) as CloudEvent[];
  const cases = EVENT_CASES.filter(({ name }) =>
    request.case === "batch" ? true : name === request.case,
  );
  expect(
    events.map((event, i) => withoutInventedTime(arrived(event), cases[i] as EventCase)),
  ).toEqual(cases.map((one) => wanted(one, sdk, request.mode)));
});

test("each of them has sent every event", () => {
  for (const sdk of SDKS) {
    const sent = new Set(recordedRequests(sdk).map(({ case: name }) => name));
    expect(EVENT_CASES.map(({ name }) => name).filter((name) => !sent.has(name))).toEqual([]);
  }
});
