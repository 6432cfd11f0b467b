/** The settings of traces, `tracing`. Every host has them. */
import * as v from "valibot";
import { oneOf, table, unset, wholeNumbers } from "../engine/settings/settings.ts";
import { headers } from "../proxy/settings/table.ts";
import { OTLP_PROTOCOLS, type TracingTerms } from "../tracing/terms.ts";

/** What a collector of OTLP answers at, below its address. */
const TRACES_PATH = "/v1/traces";
const MAX_NAME = 256;

const NOT_A_URL = "must be a URL such as https://collector.example";
const NOT_A_NAME = `must be a text of 1 to ${MAX_NAME} characters`;
const NOT_A_RATIO = "must be a number from 0 to 1";

const endpoints = v.pipe(
  v.string(NOT_A_URL),
  v.check((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, username, password, search, hash } = new URL(text);
    const isHttp = protocol === "https:" || protocol === "http:";
    return isHttp && `${username}${password}${search}${hash}` === "";
  }, `${NOT_A_URL}, without user, query and fragment`),
);

const tracingTable = v.pipe(
  table({
    endpoint: unset(endpoints),
    protocol: v.optional(oneOf(OTLP_PROTOCOLS), "http/protobuf"),
    headers,
    service_name: v.optional(
      v.pipe(v.string(NOT_A_NAME), v.minLength(1, NOT_A_NAME), v.maxLength(MAX_NAME, NOT_A_NAME)),
      "messageloop",
    ),
    sample_ratio: v.optional(
      v.pipe(v.number(NOT_A_RATIO), v.minValue(0, NOT_A_RATIO), v.maxValue(1, NOT_A_RATIO)),
      1,
    ),
    spans_per_second: v.optional(wholeNumbers(1, 100_000), 100),
  }),
  v.forward(
    v.check(
      ({ endpoint, headers }) => endpoint !== undefined || headers === undefined,
      "does nothing without endpoint",
    ),
    ["headers"],
  ),
);

/** `tracing` */
export const tracingEntries = v.optional(tracingTable, {});

/** Undefined where nothing is traced. */
export function tracingTerms({
  endpoint,
  protocol,
  headers = {},
  service_name,
  sample_ratio,
  spans_per_second,
}: v.InferOutput<typeof tracingTable>): TracingTerms | undefined {
  if (endpoint === undefined) return undefined;
  return {
    url: `${endpoint.replace(/\/+$/, "")}${TRACES_PATH}`,
    protocol,
    headers,
    serviceName: service_name,
    sampleRatio: sample_ratio,
    spansPerSecond: spans_per_second,
  };
}
