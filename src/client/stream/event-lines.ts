/** Server-sent events, out of the bytes of a stream. */

export interface ServerEvent {
  /** `message` where the event has no name. */
  readonly type: string;
  readonly data: string;
}

export class EventLines {
  readonly #take: (event: ServerEvent) => void;
  readonly #decoder = new TextDecoder();
  /** The beginning of a line. */
  #rest = "";
  #type = "";
  #data: string[] = [];

  /** @param take is given each event as soon as it is whole */
  constructor(take: (event: ServerEvent) => void) {
    this.#take = take;
  }

  read(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  #line(line: string): void {
    if (line === "") {
      this.#end();
      return;
    }
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data.push(value);
  }

  #end(): void {
    const event = { type: this.#type || "message", data: this.#data.join("\n") };
    this.#type = "";
    this.#data = [];
    if (event.data !== "") this.#take(event);
  }
}
