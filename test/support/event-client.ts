/** A client of server-sent events that does nothing by itself, and says all that it was sent. */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { EventReader, type ReadEvent } from "./event-reader.ts";
import { eventually } from "./eventually.ts";

export interface EventsAsked {
  /** What the address is beside the channel, such as `ticket`. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Address of a channel's events. */
export function eventsUrl(
  origin: string,
  channel: string,
  query: Readonly<Record<string, string>> = {},
): string {
  const url = new URL(`/channels/${encodeURIComponent(channel)}/events`, origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

export class EventClient {
  readonly reader = new EventReader();
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Whether the server has ended the answer, or the connection was lost. */
  ended = false;
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;

  /** @param origin such as `http://127.0.0.1:9080` */
  static async open(
    origin: string,
    channel: string,
    { query = {}, headers = {} }: EventsAsked = {},
  ): Promise<EventClient> {
    const call = request(eventsUrl(origin, channel, query), { agent: false, headers });
    call.end();
    const [response] = (await once(call, "response")) as [IncomingMessage];
    return new EventClient(call, response);
  }

  private constructor(call: ClientRequest, response: IncomingMessage) {
    this.#request = call;
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      if (this.status === 200) this.reader.feed(text);
    });
    response.on("error", () => {});
    call.on("error", () => {});
    response.on("close", () => {
      this.ended = true;
    });
  }

  /** Resolves with the first event of this name that holds. */
  async event(name: string, holds: (event: ReadEvent) => boolean = () => true): Promise<ReadEvent> {
    const found = await eventually(() => this.reader.named(name).find(holds));
    return found as ReadEvent;
  }

  /** Resolves when so many messages have come, with the texts of all. */
  async texts(count: number): Promise<string[]> {
    return await eventually(
      () => this.reader.texts,
      (texts) => texts.length >= count,
    );
  }

  /** Resolves when the server has ended the answer. */
  async end(): Promise<void> {
    await eventually(() => this.ended);
  }

  /** Stops reading; the connection stays. */
  pause(): void {
    this.#response.pause();
    this.#response.socket.pause();
  }

  resume(): void {
    this.#response.socket.resume();
    this.#response.resume();
  }

  /** Leaves without a word. */
  cut(): void {
    this.#request.destroy();
  }
}
