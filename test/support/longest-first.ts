/**
 * The order in which files begin. A file that takes long and begins late runs alone in the end, so of each group those
 * that take longest begin first. A run for the first time, such as every run of CI, has nothing else to know them by.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files in the order in which they begin, by their paths below the repository, and folders for all that is left in them. Those of
 * a project stand beside each other: a process that files share ends where the next file is one of another project.
 */
export const LONGEST: readonly string[] = [
  "test/worker/history.test.ts",
  "test/conformance/server.test.ts",
  "test/conformance/worker.test.ts",
  "test/conformance/redis-cluster.test.ts",
  // As long as the three before them take, two processes run these: each process starts a workerd, which costs more than most
  // of these files do.
  "test/worker/patterns.test.ts",
  "test/worker/slow-consumer.test.ts",
  "test/worker/hooks.test.ts",
  "test/worker/boundary.test.ts",
  "test/worker/metrics.test.ts",
  "test/worker/",
  "test/conformance/redis.test.ts",
  "test/conformance/backends.test.ts",
  "test/conformance/compression.test.ts",
  "test/conformance/",
  "test/redis/presence.test.ts",
  "test/redis/connection.test.ts",
  "test/redis/careless-processes.test.ts",
  "test/redis/durable-processes.test.ts",
  "test/redis/log.test.ts",
  "test/redis/hooks-processes.test.ts",
  "test/redis/",
  "test/bench/run.test.ts",
  "test/bench/",
  // These compute and wait for nothing: in the end there is something for each processor.
  "test/repo/dry-run.test.ts",
  "test/engine/session-model/model.test.ts",
  "test/protocol/fuzz.test.ts",
  "test/objects/pattern-race.test.ts",
  "test/e2e/console.test.ts",
  "test/e2e/shared.test.ts",
  "test/e2e/tabs.test.ts",
  "test/e2e/examples.test.ts",
  "test/e2e/event-source.test.ts",
  "test/e2e/unread-streams.test.ts",
  "test/e2e/api.test.ts",
  "test/e2e/sdk-streams.test.ts",
  "test/e2e/restarts.test.ts",
  "test/e2e/browser.test.ts",
  "test/server/connections.test.ts",
  "test/server/api.test.ts",
  "test/server/sdk-streams.test.ts",
  "test/server/pack.test.ts",
  "test/server/threads.test.ts",
  "test/server/soak.test.ts",
  "test/server/cli.test.ts",
  "test/conformance/many-channels.load.test.ts",
  "test/conformance/worker.load.test.ts",
  "test/server/soak.load.test.ts",
  "test/server/unread-answers.load.test.ts",
  "test/conformance/server.load.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted(
      (left, right) => groupOf(left) - groupOf(right) || placeOf(left) - placeOf(right),
    );
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`));
  if (place >= 0) return place;
  const folder = LONGEST.findIndex((name) => name.endsWith("/") && moduleId.includes(`/${name}`));
  return folder < 0 ? LONGEST.length : folder;
}
