/** grpc.health.v1: whether the server is ready, for callers by gRPC, which need no credential. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  Health,
  type HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../../protocol/gen/grpc/health/v1/health_pb.js";
import { LINE } from "../transport/streams/lines.ts";

/** How often it is looked whether something has changed for callers that watch, in milliseconds. */
const LOOK_MS = 500;
/** Calls that may watch at the same time. */
const MAX_WATCHERS = 1_000;

type Answer = MessageInitShape<typeof HealthCheckResponseSchema>;
type Watcher = () => void;

export class HealthService {
  readonly #ready: () => boolean;
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #serving = false;
  #ended = false;

  /**
   * @param ready whether new clients are welcome
   * @param services full names of those that there are
   */
  constructor(ready: () => boolean, services: readonly string[]) {
    this.#ready = ready;
    // The empty name is the server as a whole.
    this.#services = new Set(["", ...services]);
  }

  readonly routes = (router: ConnectRouter): void => {
    router.service(Health, {
      check: ({ service }) => {
        if (this.#services.has(service)) return { status: this.#status };
        throw new ConnectError("there is no such service", Code.NotFound);
      },
      watch: ({ service }, context) => this.#watch(service, context),
    });
  };

  /** Ends the calls that watch. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#tell();
  }

  get #status(): Status {
    return this.#ready() ? Status.SERVING : Status.NOT_SERVING;
  }

  async *#watch(service: string, { signal, values }: HandlerContext): AsyncIterable<Answer> {
    if (this.#watchers.size >= MAX_WATCHERS) {
      throw new ConnectError("too many calls watch", Code.ResourceExhausted);
    }
    const known = this.#services.has(service);
    const line = values.get(LINE);
    let changed = Promise.withResolvers<void>();
    let over = false;
    const watcher = (): void => changed.resolve();
    const gone = (): void => {
      over = true;
      watcher();
    };
    // Its line may go before the library knows.
    line.serve(gone);
    signal.addEventListener("abort", gone, { once: true });
    this.#add(watcher);
    try {
      let told = known ? this.#status : Status.SERVICE_UNKNOWN;
      yield { status: told };
      while (!over && !this.#ended) {
        await changed.promise;
        changed = Promise.withResolvers();
        if (!known || over || this.#status === told) continue;
        told = this.#status;
        yield { status: told };
      }
    } finally {
      this.#remove(watcher);
      line.letGo(false);
    }
  }

  #add(watcher: Watcher): void {
    if (this.#watchers.size === 0) {
      this.#serving = this.#ready();
      this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    }
    this.#watchers.add(watcher);
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size === 0) clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#ready() !== this.#serving) this.#tell();
  }

  #tell(): void {
    this.#serving = this.#ready();
    for (const watcher of this.#watchers) watcher();
  }
}
