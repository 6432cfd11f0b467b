/** What one visitor sees: messages, gaps, members, and what becomes of a message. */
import type { Client } from "../../client/core/client.ts";
import type { StateChange } from "../../client/core/connection.ts";
import type { Gap, Member, ReceivedMessage } from "../../client/core/message.ts";
import type { Subscription } from "../../client/core/subscription.ts";
import { createClient } from "../../client/dial.ts";
import { protobuf } from "../../client/protobuf/index.ts";
import type { MessageList } from "./message-list.ts";
import type { Network } from "./network.ts";
import { complain, element, setState, span, suggest } from "./page.ts";
import { closedText, gapText, refusalText } from "./texts.ts";
import { Typing } from "./typing.ts";

/** What a message carries. */
interface Said {
  readonly text: string;
}

export interface VisitTerms {
  readonly name: string;
  /** A channel or pattern to listen to. */
  readonly channel: string;
  /** The channel that is written to. */
  readonly target: string;
  readonly encoding: "json" | "proto";
  readonly network: Network;
  readonly list: MessageList;
}

const here = element("here", HTMLElement);
const memberList = element("members", HTMLUListElement);
const textField = element("text", HTMLInputElement);

/** One visit with one name, pattern and encoding. */
export class Visit {
  readonly typing: Typing;
  readonly #client: Client<{ [channel: string]: Said }>;
  readonly #name: string;
  readonly #network: Network;
  readonly #list: MessageList;
  /** The channel whose members are shown. */
  #room: Subscription<Said> | undefined;
  #members = new Map<string, Member>();
  #lostAt: number | undefined;
  #missed = 0;
  #gaps = 0;
  #over = false;

  constructor({ name, channel, target, encoding, network, list }: VisitTerms) {
    this.#name = name;
    this.#network = network;
    this.#list = list;
    setState("connecting");
    this.#client = createClient(endpoint(), {
      clientId: name,
      clientType: "web",
      encoding: encoding === "proto" ? protobuf : "json",
      transport: network,
      onError: (error) => complain(error.message),
    });
    this.#client.addEventListener("statechange", ({ detail }) => this.#changed(detail));
    this.typing = new Typing(this.#client, name);
    const subscription = this.#client.subscribe(channel, {
      onMessage: (message) => this.#take(message),
    });
    subscription.addEventListener("gap", ({ detail }) => this.#gap(detail));
    subscription.addEventListener("recovered", ({ detail }) => {
      // That of a pattern comes after those of its channels.
      if (detail.channel === channel) this.#recovered();
    });
    subscription.addEventListener("statechange", ({ detail: { state, error } }) => {
      if (state === "refused" && error !== undefined) complain(refusalText(channel, error));
    });
    this.typing.listen(channel);
    this.look(target);
  }

  /** Publishes. While there is no network the message waits, and is shown so. */
  say(channel: string, text: string): void {
    const waiting =
      this.#client.state === "connected"
        ? undefined
        : this.#list.waiting(this.#name, channel, text);
    this.typing.stop();
    suggest(channel);
    this.#client.publish(channel, { text }).then(
      () => {
        waiting?.remove();
        complain("");
      },
      (error: Error) => {
        waiting?.remove();
        if (this.#over) return;
        // What could not be sent goes back where it can be sent again.
        textField.value ||= text;
        complain(`Not sent: ${error.message}.`);
      },
    );
  }

  /** Shows the members of a channel. */
  look(channel: string): void {
    if (this.#room?.channel === channel || channel === "") return;
    this.#room?.unsubscribe().catch(() => {});
    this.#members = new Map();
    this.#showMembers(channel);
    const room = this.#client.subscribe(channel, { onMessage() {} });
    this.#room = room;
    const told = (members: readonly Member[]): void => {
      if (room !== this.#room) return;
      this.#members = new Map(members.map((member) => [keyOf(member), member]));
      this.#showMembers(channel);
    };
    room.addEventListener("presence", ({ detail }) => {
      if (room !== this.#room) return;
      if (detail.kind === "members") return told(detail.members);
      const key = keyOf(detail.member);
      if (detail.kind === "join") this.#members.set(key, detail.member);
      else this.#members.delete(key);
      this.#showMembers(channel);
    });
    room.addEventListener("statechange", ({ detail: { state } }) => {
      if (state !== "subscribed") return;
      // A channel may have no presence: then no member is shown.
      this.#client.presence(channel).then(
        ({ members }) => told(members),
        () => {},
      );
    });
  }

  end(): void {
    this.#over = true;
    this.typing.stop();
    this.#client.close().catch(() => {});
  }

  #changed({ state, error }: StateChange): void {
    if (this.#over) return;
    if (state === "connected") {
      setState("online");
      return;
    }
    this.#lostAt ??= Date.now();
    this.#missed = 0;
    this.#gaps = 0;
    if (state === "closed") {
      setState("offline");
      complain(closedText(error));
    } else setState(this.#network.isCut ? "offline" : "connecting");
  }

  #take(message: ReceivedMessage<Said>): void {
    if (this.#over) return;
    if (message.replay && this.#lostAt !== undefined) this.#missed += 1;
    suggest(message.channel);
    this.typing.said(message);
    this.#list.add(message, message.publisher.clientId === this.#name);
  }

  #gap(gap: Gap): void {
    if (this.#over) return;
    this.#gaps += 1;
    this.#list.note(gapText(gap));
  }

  /** All that was missed has come. */
  #recovered(): void {
    if (this.#over || this.#lostAt === undefined) return;
    const seconds = Math.max(1, Math.round((Date.now() - this.#lostAt) / 1000));
    this.#lostAt = undefined;
    const came = this.#missed === 1 ? "1 message" : `${this.#missed} messages`;
    const rest = this.#gaps === 0 ? "nothing is missing" : "some are missing";
    this.#list.note(`You were away for ${seconds} s: ${came} came meanwhile, ${rest}.`);
  }

  #showMembers(channel: string): void {
    here.textContent = `In ${channel}`;
    memberList.replaceChildren(
      ...[...this.#members.values()].map((member) => {
        const item = document.createElement("li");
        item.append(member.clientId || member.userId || "someone");
        if (member.clientId === this.#name) item.append(" ", span("you", "you"));
        return item;
      }),
    );
  }
}

/** Relative to the page, which a proxy may have put below a prefix. The server fills in what is set. */
function endpoint(): string {
  const path = document.querySelector('meta[name="messageloop-path"]')?.getAttribute("content");
  return new URL(path ?? "ws", location.href).href;
}

function keyOf({ userId, clientId, sessionId }: Member): string {
  return JSON.stringify([userId, clientId, sessionId]);
}
