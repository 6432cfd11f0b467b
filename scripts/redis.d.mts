/** Leaves the path of a Redis server in MESSAGELOOP_REDIS_SERVER, or ends the process with one sentence. */
export function setup(): void;
