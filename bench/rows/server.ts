/** Rows of the self-hosted server that publish. */
import { ALL_KINDS, messageLoop } from "../dialects/messageloop.ts";
import type { Row } from "../row.ts";
import { measurePublishing, type Publishing } from "./publish.ts";

const PROTO = [messageLoop({ encoding: "proto" })];

function row(
  name: string,
  question: string,
  publishing: Publishing,
  without: readonly string[] = [],
): Row {
  return {
    name,
    question,
    unit: "deliveries",
    without,
    measure: (stage) => measurePublishing(stage, publishing),
  };
}

function fanOut(subscribers: number, window: number, rate: number): Publishing {
  return { load: { subscribers }, window, rate };
}

export const PUBLISH_ROWS: readonly Row[] = [
  row("fan-out-1", "a publisher alone on its channel", fanOut(1, 32, 2_000)),
  row("fan-out-100", "100 subscribers", fanOut(100, 32, 400)),
  row("fan-out-1000", "1,000 subscribers", fanOut(1_000, 32, 50)),
  row("fan-out-1000-proto", "1,000 subscribers, protobuf", {
    ...fanOut(1_000, 32, 50),
    speaking: PROTO,
  }),
  row("fan-out-1000-kinds", "1,000 subscribers, JSON and protobuf, v1 and extended", {
    ...fanOut(1_000, 32, 50),
    speaking: ALL_KINDS,
  }),
  row("one-to-one", "one publisher to one subscriber", {
    load: { subscribers: 1 },
    apart: true,
    window: 32,
    rate: 2_000,
  }),
  row("many-publishers", "50 clients on one channel, each of them publishes", {
    load: { subscribers: 50, publishers: 50 },
    window: 50,
    rate: 800,
  }),
  row("many-channels", "1,000 channels with one subscriber each", {
    load: { subscribers: 1_000, channels: 1_000, publishers: 1_000 },
    window: 64,
    rate: 2_000,
  }),
];
