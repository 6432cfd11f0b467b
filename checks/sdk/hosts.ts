/** Where the clients of a life by the SDK connect to, and what happens to it. */
import type { LifeHost } from "../../test/history/host.ts";
import { ServerHost } from "../../test/server/life-host.ts";

export interface SdkHost {
  readonly life: LifeHost;
  /** Where a place takes connections now. */
  port(place: number): number;
  stop(): Promise<void>;
}

export const HOSTS = {
  /** One server that starts again with empty logs. */
  async memory(seed: number): Promise<SdkHost> {
    const life = new ServerHost(seed);
    await life.start();
    return { life, port: () => life.port, stop: () => life.stop() };
  },
} as const satisfies Readonly<Record<string, (seed: number) => Promise<SdkHost>>>;

export type HostName = keyof typeof HOSTS;
