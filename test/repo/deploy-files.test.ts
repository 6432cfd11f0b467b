/** Files of `deploy/` that run the server say what the server does. What other tools make of them has a check. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { parseConfig } from "../../src/server/config/config.ts";
import { VARIABLES } from "../../src/server/config/environment.ts";

const deploy = new URL("../../deploy/", import.meta.url);
const standard = parseConfig({});
/** What `serve` may take beyond the drain timeout, in seconds. */
const BEYOND_S = 10;
const DRAIN_S = standard.drainTimeoutMs / 1_000;

function read(path: string): string {
  return readFileSync(new URL(path, deploy), "utf8");
}

const dockerfile = read("Dockerfile");
const compose = parse(read("compose/compose.yaml"));
const unit = read("systemd/messageloop.service");
const objects = readdirSync(new URL("kubernetes/", deploy)).flatMap((name) =>
  parseAllDocuments(read(`kubernetes/${name}`)).map((document) => document.toJS()),
);

function ofKind(kind: string) {
  return objects.filter((object) => object.kind === kind);
}

const [deployment] = ofKind("Deployment");
const pod = deployment.spec.template.spec;
const [container] = pod.containers;

test("ports are those that the server listens on", () => {
  const ports = [standard.websocket, standard.grpc, standard.http].map(
    ({ address }) => address.port,
  );
  expect(/^EXPOSE (.*)$/m.exec(dockerfile)?.[1]?.split(" ").map(Number)).toEqual(ports);
  expect(container.ports.map((one: { containerPort: number }) => one.containerPort)).toEqual(ports);
  expect(
    compose.services.messageloop.ports.map((port: string) => Number(port.split(":").at(-1))),
  ).toEqual(ports);
});

test("each waits for the end of a drain", () => {
  const least = DRAIN_S + BEYOND_S;
  const slept = Number(container.lifecycle.preStop.exec.command.at(-1));
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(slept + least);
  expect(
    Number.parseInt(compose.services.messageloop.stop_grace_period, 10),
  ).toBeGreaterThanOrEqual(least);
  expect(Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(least);
});

test("probes ask what there is", () => {
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  expect(probes.map(({ httpGet }) => `${httpGet.port} ${httpGet.path}`)).toEqual([
    "http /health/live",
    "http /health/live",
    "http /health/ready",
  ]);
  expect(dockerfile).toContain(`127.0.0.1:${standard.http.address.port}/health/live`);
});

test("variables are ones that the server reads, and secrets stand in none of the files", () => {
  const names = [
    ...Object.keys(compose.services.messageloop.environment),
    ...container.env.map(({ name }: { name: string }) => name),
  ];
  expect(names.length).toBeGreaterThan(8);
  for (const name of names) expect([...VARIABLES.keys()]).toContain(name);
  for (const value of Object.values(compose.services.messageloop.environment)) {
    expect(value).toMatch(/^\$\{[A-Z_]+:[?-].*\}$/);
  }
  for (const { valueFrom } of container.env)
    expect(valueFrom.secretKeyRef.name).toBe("messageloop");
});

test("configurations are valid, and open the admin port to those who ask for health", () => {
  const [{ data }] = ofKind("ConfigMap");
  for (const text of [read("compose/config.yaml"), data["config.yaml"]]) {
    const config = parseConfig(parse(text));
    expect(config.http.address).toMatchObject({ port: standard.http.address.port });
    expect(config.http.address.host).not.toBe(standard.http.address.host);
    expect(config.redis).toBeDefined();
  }
});

test("objects select the pods of the deployment, which are of a user by number", () => {
  const { labels } = deployment.spec.template.metadata;
  const selectors = [
    deployment.spec.selector.matchLabels,
    ...ofKind("Service").map(({ spec }) => spec.selector),
    ...ofKind("PodDisruptionBudget").map(({ spec }) => spec.selector.matchLabels),
    ...ofKind("NetworkPolicy").map(({ spec }) => spec.podSelector.matchLabels),
  ];
  expect(selectors).toHaveLength(5);
  for (const selector of selectors) expect(selector).toEqual(labels);
  const user = /^USER (\d+):/m.exec(dockerfile)?.[1];
  expect(`${pod.securityContext.runAsUser}`).toBe(user);
});

test("connections fit into what the processes may open", () => {
  const most = standard.maxConnections;
  expect(compose.services.messageloop.ulimits.nofile).toBeGreaterThan(most);
  expect(Number(/^LimitNOFILE=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(most);
});
