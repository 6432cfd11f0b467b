/** M1: who is a member of which channel, by what the broker was told. */
import type { RuleBook } from "../../../src/channels/rules.ts";
import { CHANNELS } from "./broker.ts";
import { check } from "./facts.ts";
import type { SessionModel } from "./model.ts";

export class MembersModel {
  readonly #sessions = new Map<string, Set<string>>(CHANNELS.map((name) => [name, new Set()]));

  joins(channel: string, session: string): void {
    check(!this.#in(channel).has(session), `${session} joins ${channel} twice`);
    this.#in(channel).add(session);
  }

  leaves(channel: string, session: string): void {
    check(this.#in(channel).delete(session), `${session} leaves ${channel} and was not there`);
  }

  /** Every session that is subscribed and not ephemeral is a member, and no other. */
  settled({ id, streams, requests }: SessionModel, rules: RuleBook): void {
    const { joining } = requests;
    for (const channel of CHANNELS) {
      if (joining.has(channel)) continue;
      const member = streams.get(channel)?.ephemeral === false && rules.of(channel).presence;
      check(this.#in(channel).has(id) === member, `${id} is a member of ${channel}, or is not`);
    }
  }

  /** Nothing of a session remains that has ended. */
  alive(sessions: readonly string[]): void {
    for (const [channel, members] of this.#sessions) {
      for (const member of members) check(sessions.includes(member), `${member} is in ${channel}`);
    }
  }

  #in(channel: string): Set<string> {
    const members = this.#sessions.get(channel);
    check(members !== undefined, `${JSON.stringify(channel)} has members`);
    return members;
  }
}
