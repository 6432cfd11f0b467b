/** What the node does that answers, and what of it an operator wants to know when it happens. */
import { useEffect, useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { Chart } from "../parts/chart.tsx";
import { Name, Time } from "../parts/text.tsx";
import { numberOf, SAMPLE_MS, type Samples } from "../samples.ts";
import { bytesText, countText, rateText } from "../text.ts";

export function NodeView({ samples }: { readonly samples: Samples }) {
  const { status } = useOperator();
  const [, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((turn) => turn + 1), SAMPLE_MS);
    return () => clearInterval(timer);
  }, []);
  const node = samples.latest?.node;
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Node
      </h1>
      {node === undefined ? (
        <p class="empty">
          {status.host === "worker"
            ? "Gateways on Workers sleep, and are not woken to be counted."
            : "What nodes do is for keys with the right read in all channels."}
        </p>
      ) : (
        <>
          <p class="quiet">
            Node <Name of={node.name} />, version {status.version}, up for{" "}
            {durationText(numberOf(node, "uptime_ms"))}. The curves begin when this page was opened,
            and reach back an hour.
          </p>
          <div class="charts">
            <Chart title="Sessions" points={samples.levels("sessions")} text={countText} />
            <Chart
              title="Subscriptions"
              points={samples.levels("subscriptions")}
              text={countText}
            />
            <Chart title="Channels heard" points={samples.levels("channels")} text={countText} />
            <Chart title="Published" points={samples.rates("publications")} text={rateText} />
            <Chart title="Delivered" points={samples.rates("deliveries")} text={rateText} />
            <Chart title="Received" points={samples.rates("received_bytes")} text={perSecond} />
            <Chart title="Sent" points={samples.rates("sent_bytes")} text={perSecond} />
            <Chart title="Memory" points={samples.levels("memory_bytes")} text={bytesText} />
            <Chart title="Event loop lag" points={samples.lags()} text={millisecondsText} />
          </div>
          <h2>Gaps, slow consumers and errors</h2>
          {samples.incidents.length === 0 ? (
            <p class="empty">None since this page was opened.</p>
          ) : (
            <ul class="gaps">
              {samples.incidents.map(({ at, what, count }) => (
                <li key={`${at} ${what}`}>
                  <Time at={at} /> <Name of={what} /> × {countText(count)}
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </section>
  );
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
