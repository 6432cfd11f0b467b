/** The interface of v0.1.1, and the application's handlers: one of each kind, of which the last one set wins. */
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent, EventLike } from "./cloud-event.ts";
import type { CloseInfo } from "./line.ts";
import type { Gap, ReceivedMessage, ServerSubscription } from "./received.ts";
import type { SurveyHandler } from "./surveys.ts";

/** Messages kept for a handler that is set later than they arrive. */
const MAX_UNHANDLED = 1_000;

/** What the client of v0.1.1 can do. */
export interface IClient {
  connect(): Promise<void>;
  close(): Promise<void>;
  subscribe(...channels: string[]): Promise<void>;
  unsubscribe(...channels: string[]): Promise<void>;
  publish(channel: string, event: EventLike): Promise<unknown>;
  rpc(
    channel: string,
    method: string,
    event: EventLike,
    options?: { timeout?: number },
  ): Promise<CloudEvent>;
  onMessage(handler: (messages: ReceivedMessage[]) => void): void;
  onError(handler: (error: MessagingError) => void): void;
  onConnected(handler: (sessionId: string) => void): void;
  onClosed(handler: (info: CloseInfo) => void): void;
  getSessionId(): string | null;
  isConnected(): boolean;
  getSubscribedChannels(): string[];
}

export class Handlers {
  connected: ((sessionId: string) => void) | undefined;
  closed: ((info: CloseInfo) => void) | undefined;
  error: ((error: MessagingError) => void) | undefined;
  gap: ((gap: Gap) => void) | undefined;
  subscribed: ((subscriptions: ServerSubscription[]) => void) | undefined;
  survey: SurveyHandler | undefined;
  unsubscribed: ((channels: string[]) => void) | undefined;
  #message: ((messages: ReceivedMessage[]) => void) | undefined;
  #unhandled: ReceivedMessage[] = [];

  /** Earlier arrivals come at once. */
  set message(handler: (messages: ReceivedMessage[]) => void) {
    this.#message = handler;
    const waiting = this.#unhandled;
    this.#unhandled = [];
    if (waiting.length > 0) queueMicrotask(() => this.hand(this.#message, waiting));
  }

  deliver(messages: ReceivedMessage[]): void {
    if (messages.length === 0) return;
    if (this.#message !== undefined) this.hand(this.#message, messages);
    else if (this.#unhandled.length + messages.length <= MAX_UNHANDLED) {
      this.#unhandled.push(...messages);
    } else {
      const text = "messages were dropped: no handler is set with onMessage";
      this.report(new MessagingError("RATE_LIMITED", text));
    }
  }

  /** Gives something to the application. Its mistakes must not look like the connection's. */
  hand<T>(handler: ((value: T) => unknown) | undefined, value: T): void {
    try {
      const outcome = handler?.(value);
      if (outcome instanceof Promise) outcome.catch((error: unknown) => this.thrown(error));
    } catch (error) {
      this.thrown(error);
    }
  }

  /** What a handler has thrown. Without a handler of errors it is uncaught. */
  thrown(cause: unknown): void {
    if (this.error === undefined) raise(cause);
    else {
      const text = "a handler of the application failed";
      this.report(new MessagingError("INTERNAL_ERROR", text, { cause }));
    }
  }

  report(cause: unknown): void {
    try {
      const outcome: unknown = this.error?.(MessagingError.from(cause));
      if (outcome instanceof Promise) outcome.catch(raise);
    } catch (thrown) {
      raise(thrown);
    }
  }
}

/** Lets an error of the application's surface as its own, outside of the event of the socket. */
function raise(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
