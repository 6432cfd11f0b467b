/**
 * A tab's line where tabs elect a leader: to the hub in the tab itself at first, and to the leader's when the user is known
 * and another tab leads. No token goes to another tab.
 */
import type { InboundFrame } from "../wire/frames.ts";
import type { FromHub, FromTab, TabLine } from "./line.ts";
import { SDK_VERSION } from "./version.ts";

export interface ElectedLineOwner {
  readonly url: string;
  readonly subprotocol: string;
  /** Who a token stands for. @throws MessagingError */
  userOf(token: string): Promise<string>;
  /** What only this tab may send cannot go by the leader: it needs a connection of its own. */
  needsOwn(): void;
  closed(): void;
}

const COMES_BACK = 3000;

export class ElectedLine implements TabLine {
  readonly #own: TabLine;
  readonly #owner: ElectedLineOwner;
  #handler: (message: FromHub) => void = () => {};
  #connect: InboundFrame = {};
  over = false;
  #leader: { readonly line: TabLine; readonly userId: string } | undefined;

  constructor(own: TabLine, owner: ElectedLineOwner) {
    this.#own = own;
    this.#owner = owner;
  }

  /** Whether its subscriptions have tokens of their own. */
  get hasTokens(): boolean {
    return hasTokens(this.#connect.connect?.subscriptions);
  }

  send(message: FromTab): void {
    const frame = message.kind === "frame" ? message.frame : {};
    if (frame.connect !== undefined) this.#connect = frame;
    if (this.#leader === undefined) this.#own.send(message);
    else if (frame.refresh !== undefined) this.#refresh(frame, frame.refresh.token);
    else if (frame.sub_refresh !== undefined || hasTokens(frame.subscribe?.subscriptions)) {
      this.#owner.needsOwn();
      this.end("tokens of subscriptions are not given to other tabs");
    } else this.#leader.line.send(message);
  }

  receive(handler: (message: FromHub) => void): void {
    this.#handler = handler;
    this.#own.receive((message) => {
      if (this.#leader === undefined) handler(message);
    });
  }

  /** Goes on by the leader. */
  follow(line: TabLine, userId: string): void {
    this.#leader = { line, userId };
    const { id, connect } = this.#connect;
    line.receive((message) => {
      if (message.kind !== "opened") this.#handler(message);
      else line.send({ kind: "frame", frame: { id, connect: { ...connect, token: "" } } });
    });
    const { url, subprotocol } = this.#owner;
    line.send({ kind: "open", version: SDK_VERSION, url, subprotocol });
    this.#own.send({ kind: "close", code: 1000, reason: "another tab leads" });
    this.#own.close();
  }

  /** Ends it: the client in the tab comes back. */
  end(reason: string): void {
    this.#leader?.line.send({ kind: "close", code: COMES_BACK, reason });
    this.#handler({
      ...{ kind: "ended", code: COMES_BACK, reason },
      ...{ fatal: false, retryAfterMs: 0 },
    });
  }

  close(): void {
    this.over = true;
    this.#own.close();
    this.#leader?.line.close();
    this.#owner.closed();
  }

  /** The leader brings its own token to the server. Of this one only whose it is matters. */
  #refresh({ id = "" }: InboundFrame, token: string): void {
    this.#owner.userOf(token).then(
      (userId) => {
        if (userId !== this.#leader?.userId) this.end("another user");
        else this.#handler({ kind: "frame", frame: { id, refresh_ack: {} } });
      },
      ({ code, message }: { code: string; message: string }) =>
        this.#handler({ kind: "frame", frame: { id, error: { code, message } } }),
    );
  }
}

function hasTokens(
  subscriptions: readonly { readonly token?: string | undefined }[] = [],
): boolean {
  return subscriptions.some(({ token }) => Boolean(token));
}
