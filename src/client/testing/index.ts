/** What applications test themselves with, without sockets and without waiting: `messageloop/testing`. */
export { FakeServer, type FakeServerOptions } from "./fake-server.ts";
export type { FakeSession } from "./fake-session.ts";
export { ManualClock } from "./manual-clock.ts";
