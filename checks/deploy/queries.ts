/** What a dashboard of Grafana asks Prometheus. */

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
}

/** The queries of a dashboard's panels, with values in the place of Grafana's variables. */
export function queriesOf({ panels }: Dashboard): string[] {
  return panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) => expr.replaceAll("$__rate_interval", "5m"))
    .map((expr) => expr.replaceAll("$job", "messageloop").replaceAll("$instance", ".*"));
}
