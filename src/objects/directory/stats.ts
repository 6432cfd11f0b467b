/**
 * The counters of one region: which channels there are and how many members each has, and what its gateways hold and
 * have counted, as they have reported it. A channel or a gateway reports when that changes and not otherwise, so that its
 * last report holds for as long as it sleeps, and it need not be woken to be listed or counted.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { nameRange } from "../../channels/name-order.ts";
import { matcherOf } from "../../channels/patterns.ts";
import type { Incident } from "../../engine/ports/incidents.ts";
import {
  FiguresRequestSchema,
  GatewayFiguresSchema,
  ListRequestSchema,
  ListResponseSchema,
  RegionFiguresSchema,
  ReportRequestSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { SharedAlarm } from "../alarm.ts";
import {
  incidentMessage,
  incidentOf,
  MAX_REPORTED_INCIDENTS,
  REPORT_EVERY_MS,
} from "../calls/directory-calls.ts";
import { encode } from "../calls/encode.ts";
import type { Called, StatsStub } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Figures, GatewayCounts, ReportRow, ReportStore } from "../ports/report-store.ts";
import type { ObjectStorage } from "../ports/storage.ts";

/** Rows that one question looks at, whether they fit or not. */
export const MAX_LOOKS = 2_000;
/** Shortest time between two lives of the alarm that forgets channels, in milliseconds. */
const FORGET_EVERY_MS = 60 * 60 * 1000;

/** What the counters need from their host. */
export interface StatsObjectHost {
  /** What they keep, opened when it is first asked for. */
  store(): ReportStore;
  readonly storage: ObjectStorage;
  readonly platform: ObjectPlatform;
}

export class StatsObject implements Called<StatsStub> {
  readonly #host: StatsObjectHost;
  readonly #alarm: SharedAlarm;
  #openStore: ReportStore | undefined;

  constructor(host: StatsObjectHost) {
    this.#host = host;
    this.#alarm = new SharedAlarm(host.storage, host.platform);
  }

  /** Sets the time of the stored alarm. Comes before the first call: calls ask for alarms. */
  found(at: number | null): void {
    this.#alarm.found(at);
  }

  report(request: Uint8Array): void {
    const { channel, members, until } = fromBinary(ReportRequestSchema, request);
    const end = until === 0n ? undefined : Number(until);
    this.#store.save({ channel, members, until: end });
    if (end !== undefined) this.#alarm.by(Math.max(end, this.#now() + FORGET_EVERY_MS));
  }

  list(request: Uint8Array): Uint8Array {
    const { after, pattern, limit } = fromBinary(ListRequestSchema, request);
    const now = this.#now();
    const fits = matcherOf(pattern);
    const channels: ReportRow[] = [];
    let looked = 0;
    let next = "";
    for (const row of this.#store.list(after, nameRange(pattern), MAX_LOOKS)) {
      looked += 1;
      if ((row.until ?? Number.POSITIVE_INFINITY) > now && fits(row.channel)) channels.push(row);
      if (channels.length < limit && looked < MAX_LOOKS) continue;
      next = row.channel;
      break;
    }
    return encode(ListResponseSchema, { channels, next, asOf: this.#asOf() });
  }

  count(request: Uint8Array): void {
    const message = fromBinary(GatewayFiguresSchema, request);
    const { gateway, life, time, gauges, counters } = message;
    const row = { gateway, life, time: Number(time), gauges, counters };
    const known = [...this.#store.counts()].find((one) => one.gateway === gateway);
    // A call that was given up may arrive after the next one.
    if (known !== undefined && known.time > row.time) return;
    const { before = {}, counters: last = {} } = known ?? {};
    // A gateway that has slept counts from zero, and what it had counted stays.
    const lives = known?.life === life ? before : summed([before, last]);
    this.#store.saveCounts({ ...row, before: lives });
    const met = message.incidents.map(incidentOf);
    if (met.length > 0) this.#meet(gateway, met);
  }

  /** Incidents go on: the later report of one has more of it. What an earlier life has met stays for a while. */
  #meet(gateway: string, met: readonly Incident[]): void {
    const known = this.#store.incidents().get(gateway) ?? [];
    const all = new Map([...known, ...met].map((one) => [incidentName(one), one]));
    const latest = [...all.values()].slice(-MAX_REPORTED_INCIDENTS);
    if (JSON.stringify(latest) !== JSON.stringify(known)) {
      this.#store.saveIncidents(gateway, latest);
    }
  }

  figures(request: Uint8Array): Uint8Array {
    const asked = fromBinary(FiguresRequestSchema, request);
    const rows = [...this.#store.counts()];
    const figures = summed(
      rows.flatMap(({ gauges, before, counters }) => [gauges, before, counters]),
    );
    const busy = rows.filter(({ gauges }) => Object.values(gauges).some((value) => value > 0));
    return encode(RegionFiguresSchema, {
      gateways: busy.length,
      figures,
      asOf: this.#asOf(),
      loads: asked.gateways === 0 ? [] : this.#loads(rows, asked.gateways, asked.figures),
    });
  }

  /** Gateways one by one, those first that have most of the first figure. */
  #loads(rows: readonly GatewayCounts[], most: number, names: readonly string[]) {
    const incidents = this.#store.incidents();
    const [first = ""] = names;
    return rows
      .map(({ gateway, time, gauges, before, counters }) => {
        const all = summed([gauges, before, counters]);
        const figures = Object.fromEntries(names.map((name) => [name, all[name] ?? 0]));
        const met = (incidents.get(gateway) ?? []).map(incidentMessage);
        return { gateway, time: BigInt(time), figures, incidents: met };
      })
      .sort((one, other) => (other.figures[first] ?? 0) - (one.figures[first] ?? 0))
      .slice(0, most);
  }

  /** The alarm has come. */
  async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      const now = this.#now();
      this.#store.dropOver(now);
      const end = this.#store.firstEnd();
      if (end !== undefined) this.#alarm.by(Math.max(end, now + FORGET_EVERY_MS));
      else if (this.#store.empty) {
        // The next caller finds an empty store.
        this.#openStore = undefined;
        this.#alarm.found(undefined);
        await this.#host.storage.forget();
      }
    });
  }

  /** What has changed since may wait for its time to be reported. */
  #asOf(): bigint {
    return BigInt(Math.max(this.#now() - REPORT_EVERY_MS, 0));
  }

  #now(): number {
    return this.#host.platform.clock.now();
  }

  get #store(): ReportStore {
    this.#openStore ??= this.#host.store();
    return this.#openStore;
  }
}

/** Sums by name, in the order in which the names come. */
function summed(all: readonly Figures[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const figures of all) {
    for (const [name, value] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

function incidentName({ began, channel, kind, reason }: Incident): string {
  return `${kind} ${reason} ${began} ${channel}`;
}
