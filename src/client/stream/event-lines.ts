/** Server-sent events, out of the bytes of a stream. */

export interface ServerEvent {
  /** `message` where the event has no name. */
  readonly type: string;
  readonly data: string;
  /** From where on a stream goes on after it; empty where it has not said so. */
  readonly id: string;
}

export class EventLines {
  readonly #take: (event: ServerEvent) => void;
  readonly #decoder = new TextDecoder();
  /** The beginning of a line. */
  #rest = "";
  #type = "";
  #data: string[] = [];
  #id = "";

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
    else if (name === "id") this.#id = value;
  }

  #end(): void {
    const event = {
      type: this.#type || "message",
      data: this.#data.join("\n"),
      id: this.#id,
    };
    this.#type = "";
    this.#data = [];
    if (event.data !== "") this.#take(event);
  }
}
