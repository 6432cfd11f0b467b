/**
 * Reads server-sent events as the HTML standard says, and is strict about what real clients are not: a violation
 * of what SPEC.md says of blocks fails the test.
 */

export interface ReadEvent {
  /** `message` where the block names none. */
  readonly event: string;
  readonly data: EventData;
  readonly id: string;
  /** Milliseconds. */
  readonly retry: number | undefined;
}

/** The JSON of any event of ours, as far as tests look into it. */
export interface EventData {
  readonly channel?: string;
  readonly offset?: string;
  readonly epoch?: string;
  readonly replay?: boolean;
  readonly payload?: { readonly text_data?: string; readonly source?: string };
  readonly reason?: string;
  readonly after?: { readonly epoch: string; readonly offset: string };
  readonly until?: { readonly epoch: string; readonly offset: string };
  readonly code?: number;
  readonly reconnect?: boolean;
  readonly retry_after_ms?: number;
  readonly session_id?: string;
  readonly subscriptions?: readonly {
    readonly channel: string;
    readonly position?: { readonly epoch: string; readonly offset: string };
  }[];
}

export class EventReader {
  readonly events: ReadEvent[] = [];
  heartbeats = 0;
  #text = "";
  #lines: string[] = [];

  /** Takes text as it came, however it was cut. */
  feed(text: string): void {
    this.#text += text;
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end < 0) return;
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      this.#line(line);
    }
  }

  /** What a client sends back as Last-Event-ID; undefined where it has no id. */
  get lastEventId(): string | undefined {
    return this.events.at(-1)?.id;
  }

  /** The texts of the messages. */
  get texts(): string[] {
    return this.messages.map(({ data }) => data.payload?.text_data ?? "");
  }

  get messages(): ReadEvent[] {
    return this.named("message");
  }

  named(name: string): ReadEvent[] {
    return this.events.filter(({ event }) => event === name);
  }

  #line(line: string): void {
    if (line === ":") {
      if (this.#lines.length > 0) throw new Error("a heartbeat inside a block");
      this.heartbeats += 1;
    } else if (line !== "") this.#lines.push(line);
    else {
      this.events.push(readBlock(this.#lines));
      this.#lines = [];
    }
  }
}

function readBlock(lines: readonly string[]): ReadEvent {
  const shown = JSON.stringify(lines).slice(0, 500);
  const fields = lines.map((line) => /^(event|retry|data|id): (.+)$/s.exec(line));
  if (fields.some((field) => field === null)) throw new Error(`a line that is none: ${shown}`);
  const names = fields.map((field) => field?.[1]);
  if (new Set(names).size !== names.length) throw new Error(`a field twice: ${shown}`);
  const value = (name: string) => fields.find((field) => field?.[1] === name)?.[2];
  const id = value("id") ?? "";
  if (names.at(-1) !== "id") throw new Error(`the id is not the last line: ${shown}`);
  if (!/^[\x21-\x7e]{1,2048}$/.test(id)) throw new Error(`an id that is none: ${shown}`);
  const retry = value("retry");
  if (retry !== undefined && !(Number(retry) >= 1_000 && Number(retry) <= 10_000)) {
    throw new Error(`retry out of bounds: ${shown}`);
  }
  return {
    event: value("event") ?? "message",
    data: JSON.parse(value("data") ?? "") as EventData,
    id,
    retry: retry === undefined ? undefined : Number(retry),
  };
}
