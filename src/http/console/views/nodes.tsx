/** What each thread, or each gateway, holds and does, and what of it an operator wants to know when it happens. */
import { useEffect, useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { Chart } from "../parts/chart.tsx";
import { Table } from "../parts/table.tsx";
import { Name, Problem, Time } from "../parts/text.tsx";
import { hashOf } from "../routes.ts";
import { numberOf, type Samples } from "../samples.ts";
import type { Incident, NodeStatus, NodesPage } from "../server-api.ts";
import { bytesText, countText, rateText } from "../text.ts";

/** How often what has come is drawn, in milliseconds. */
const DRAW_MS = 1_000;

export function Nodes({ samples }: { readonly samples: Samples }) {
  const { mayEverywhere, status } = useOperator();
  const [, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((turn) => turn + 1), DRAW_MS);
    return () => clearInterval(timer);
  }, []);
  const { page, problem } = samples;
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Nodes
      </h1>
      <Problem text={problem} />
      {!mayEverywhere("read") ? (
        <p class="empty">What nodes do is for keys with the right read in all channels.</p>
      ) : page === undefined ? (
        <p class="empty">Asking…</p>
      ) : page.unreported === true ? (
        <p class="empty">
          Gateways sleep, and are not woken to be counted. They report what they hold where the
          setting api.metrics is on.
        </p>
      ) : (
        <Known page={page} samples={samples} isServer={status.host === "server"} />
      )}
    </section>
  );
}

function Known({
  page,
  samples,
  isServer,
}: {
  readonly page: NodesPage;
  readonly samples: Samples;
  readonly isServer: boolean;
}) {
  const { incidents = [], nodes = [], regions = [] } = page;
  const [first] = nodes;
  return (
    <>
      <p class="quiet">
        {isServer ? (
          <>
            {nodes.length > 1 ? `${nodes.length} threads of one process` : "One process"}, up for{" "}
            {durationText(first === undefined ? 0 : numberOf(first, "uptime_ms"))}.
          </>
        ) : (
          "Gateways as they have reported, within ten seconds of a change. None is woken to be counted."
        )}{" "}
        As of <Time at={Number(page.as_of)} />.
      </p>
      {nodes.length === 0 ? <p class="empty">No gateway has reported yet.</p> : null}
      {nodes.length > 0 && isServer ? <Threads nodes={nodes} samples={samples} /> : null}
      {nodes.length > 0 && !isServer ? <Gateways nodes={nodes} samples={samples} /> : null}
      {regions.length > 0 ? (
        <>
          <h2>Regions</h2>
          <Table
            caption="Regions"
            columns={["Region", "State", "#Gateways", "#Sessions", "As of"]}
            rows={regions.map(({ as_of: at, gateways = 0, ready = false, region, sessions }) => [
              <Name key="name" of={region} />,
              ready ? "counted" : "does not answer",
              ready ? countText(gateways) : "–",
              ready ? countText(Number(sessions ?? 0)) : "–",
              at === undefined ? "–" : <Time key="at" at={Number(at)} />,
            ])}
          />
        </>
      ) : null}
      <h2>Gaps and slow consumers</h2>
      <Incidents incidents={incidents} />
      <h2>The last hour</h2>
      <p class="quiet">The curves begin when this page was opened.</p>
      <div class="charts">
        <Chart title="Sessions" points={samples.levels("sessions")} text={countText} />
        <Chart title="Subscriptions" points={samples.levels("subscriptions")} text={countText} />
        <Chart title="Published" points={samples.rates("publications")} text={rateText} />
        <Chart title="Delivered" points={samples.rates("deliveries")} text={rateText} />
        <Chart title="Received" points={samples.rates("received_bytes")} text={perSecond} />
        <Chart title="Sent" points={samples.rates("sent_bytes")} text={perSecond} />
        {isServer ? (
          <>
            <Chart title="Memory" points={samples.shared("memory_bytes")} text={bytesText} />
            <Chart title="Event loop lag" points={samples.lags()} text={millisecondsText} />
          </>
        ) : null}
      </div>
    </>
  );
}

interface Listed {
  readonly nodes: readonly NodeStatus[];
  readonly samples: Samples;
}

function Threads({ nodes, samples }: Listed) {
  return (
    <Table
      caption="Threads with their load"
      columns={[
        "Node",
        "#Busy",
        "#Sessions",
        "#Subscriptions",
        "#Channels heard",
        "#Channels kept",
        "#Published",
        "#Delivered",
        "#Gaps",
        "#Slow",
        "#Errors",
      ]}
      rows={nodes.map((node) => [
        <>
          {node.thread === undefined ? "" : `Thread ${node.thread} `}
          <span class="quiet">
            <Name of={node.name} />
          </span>
          {numberOf(node, "deaths") > 0 ? ` replaced ${numberOf(node, "deaths")} times` : ""}
        </>,
        `${Math.round(numberOf(node, "busy") * 100)} %`,
        ...held(node),
        node.thread === undefined ? "–" : countText(numberOf(node, "own_channels")),
        ...done(node, samples),
      ])}
    />
  );
}

function Gateways({ nodes, samples }: Listed) {
  return (
    <Table
      caption="Gateways with their load"
      columns={[
        "Gateway",
        "#Sessions",
        "#Subscriptions",
        "#Channels heard",
        "#Published",
        "#Delivered",
        "#Gaps",
        "#Slow",
        "#Errors",
        "Reported",
      ]}
      rows={nodes.map((node) => [
        <Name key="name" of={node.name} />,
        ...held(node),
        ...done(node, samples),
        <Time key="at" at={numberOf(node, "reported")} />,
      ])}
    />
  );
}

function held(node: NodeStatus): string[] {
  return (["sessions", "subscriptions", "channels"] as const).map((name) =>
    countText(numberOf(node, name)),
  );
}

function done(node: NodeStatus, samples: Samples): string[] {
  const rate = (name: "publications" | "deliveries"): string => {
    const value = samples.rate(node.name, name);
    return value === undefined ? "–" : rateText(value);
  };
  const gaps = Object.values(node.gaps ?? {}).reduce((all, count) => all + Number(count), 0);
  return [
    rate("publications"),
    rate("deliveries"),
    countText(gaps),
    countText(numberOf(node, "slow_consumers")),
    countText(numberOf(node, "internal_errors")),
  ];
}

function Incidents({ incidents }: { readonly incidents: readonly Incident[] }) {
  if (incidents.length === 0) return <p class="empty">None is known.</p>;
  return (
    <Table
      caption="Gaps and slow consumers, the newest first"
      columns={["Time", "What", "Channel", "#Sessions", "Session, the last", "Node"]}
      rows={incidents.map(({ at, channel = "", count, kind, node, reason = "", ...rest }) => [
        <Time key="at" at={Number(at)} />,
        kind === "gap" ? `gap: ${reason}` : kind === "slow_consumer" ? "slow consumer" : kind,
        channel === "" || isPattern(channel) ? (
          <Name key="channel" of={channel === "" ? "–" : channel} />
        ) : (
          <a key="channel" href={hashOf({ view: "channel", channel, part: "history" })}>
            <Name of={channel} />
          </a>
        ),
        countText(count),
        <Name key="session" of={rest.session_id ?? ""} />,
        <Name key="node" of={node} />,
      ])}
    />
  );
}

function isPattern(name: string): boolean {
  return /(^|\.)\*/.test(name);
}

function perSecond(value: number): string {
  return `${bytesText(Math.round(value))}/s`;
}

function millisecondsText(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
