/**
 * The visitors that are typing, sent on a channel beside that of the messages. It is old news after some seconds, so none of it is asked for
 * again after a loss.
 */
import type { Client } from "../../client/core/client.ts";
import type { ReceivedMessage } from "../../client/core/message.ts";
import { element } from "./page.ts";

/** How often it is sent while a visitor types, and how long it holds, in milliseconds. */
const TELL_EVERY_MS = 2_000;
const BELIEVED_MS = 4_000;

// biome-ignore lint/suspicious/noExplicitAny: any data that the client's channels carry.
type AnyClient = Client<any>;

export class Typing {
  readonly #client: AnyClient;
  readonly #name: string;
  readonly #line = element("typing", HTMLElement);
  /** What takes a name off the line again, by channel and name. */
  readonly #shown = new Map<string, { channel: string; name: string; timer: number }>();
  #toldAt = 0;

  constructor(client: AnyClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /** @param channel a channel or pattern of messages */
  listen(channel: string): void {
    const onMessage = ({ channel: from, publisher, time, replay }: ReceivedMessage): void => {
      const name = publisher.clientId;
      if (replay || name === this.#name || Date.now() - time > BELIEVED_MS) return;
      this.#show(from.slice("typing.".length), name);
    };
    // Where it is refused nothing is lost but this line.
    this.#client.subscribe(`typing.${channel}`, { onMessage, ephemeral: true });
  }

  /** This visitor types. */
  tell(channel: string): void {
    if (channel === "" || this.#client.state !== "connected") return;
    if (Date.now() - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = Date.now();
    this.#client.publish(`typing.${channel}`, {}).catch(() => {});
  }

  /** This visitor has said it. */
  stop(): void {
    this.#toldAt = 0;
  }

  /** A visitor has sent it. */
  said({ channel, publisher }: ReceivedMessage): void {
    this.#hide(`${channel} ${publisher.clientId}`);
  }

  #show(channel: string, name: string): void {
    const key = `${channel} ${name}`;
    clearTimeout(this.#shown.get(key)?.timer);
    const timer = setTimeout(() => this.#hide(key), BELIEVED_MS);
    this.#shown.set(key, { channel, name, timer });
    this.#draw();
  }

  #hide(key: string): void {
    clearTimeout(this.#shown.get(key)?.timer);
    if (this.#shown.delete(key)) this.#draw();
  }

  #draw(): void {
    const [first, ...others] = [...this.#shown.values()];
    if (first === undefined) this.#line.textContent = "";
    else if (others.length === 0)
      this.#line.textContent = `${first.name} is typing in ${first.channel}`;
    else this.#line.textContent = `${others.length + 1} people are typing`;
  }
}
