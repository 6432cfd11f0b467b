/** Which surveys are open, who has to answer them, and what has to come out of those that are over. */
import type { SurveyRequest } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { check } from "./facts.ts";

export class SurveysModel {
  /** Answers of sessions nobody waited for. */
  dropped = 0;
  readonly #open = new Map<string, Survey>();
  readonly #ended = new Map<string, Survey>();
  /** Who is being asked right now, on which channel. */
  #asking: { channel: string; id: string; sessions: Set<string> } | undefined;

  get size(): number {
    return this.#open.size;
  }

  get ids(): readonly string[] {
    return [...this.#open.keys(), ...this.#ended.keys()];
  }

  /** Runs what asks, and returns the survey's id where anybody was asked. */
  begin(
    channel: string,
    deadline: number,
    who: { readonly must: readonly string[]; readonly may: readonly string[] },
    ask: () => void,
  ): string | undefined {
    const asking = { channel, id: "", sessions: new Set<string>() };
    this.#asking = asking;
    ask();
    this.#asking = undefined;
    const { id, sessions } = asking;
    for (const session of who.must) check(sessions.has(session), `${session} is not asked`);
    const allowed = new Set([...who.must, ...who.may]);
    for (const session of sessions) check(allowed.has(session), `${session} is asked`);
    const survey = this.#open.get(id);
    if (survey === undefined) return undefined;
    survey.deadline = deadline;
    if (survey.awaited.size === 0) this.#end(id, survey);
    return id;
  }

  asked(session: string, { requestId, payload }: SurveyRequest): void {
    const asking = this.#asking;
    check(asking !== undefined, "a question that nobody asks");
    asking.id ||= requestId;
    check(requestId === asking.id && payload?.id === requestId, "another survey's id");
    check(payload.source === asking.channel, "another channel's survey");
    check(!asking.sessions.has(session), `${session} is asked twice`);
    asking.sessions.add(session);
    const survey = this.#open.get(requestId);
    if (survey !== undefined) survey.awaited.add(session);
    else {
      const awaited = new Set([session]);
      this.#open.set(requestId, { awaited, gone: [], answers: [], deadline: Infinity });
    }
  }

  /** Whether an answer is right in form; what is not awaited is not even looked at. */
  answer(session: string, id: string, flawed: boolean): boolean {
    const survey = this.#open.get(id);
    if (survey === undefined || !survey.awaited.has(session)) {
      this.dropped += 1;
      return true;
    }
    if (flawed) return false;
    survey.awaited.delete(session);
    survey.answers.push(session);
    if (survey.awaited.size === 0) this.#end(id, survey);
    return true;
  }

  left(session: string): void {
    for (const [id, survey] of [...this.#open]) {
      if (!survey.awaited.delete(session)) continue;
      survey.gone.push(session);
      if (survey.awaited.size === 0 && id !== this.#asking?.id) this.#end(id, survey);
    }
  }

  expire(now: number): void {
    for (const [id, survey] of [...this.#open]) if (survey.deadline <= now) this.#end(id, survey);
  }

  /** The survey's promise has been kept. */
  outcome(id: string, answers: readonly string[], silent: readonly string[]): void {
    const survey = this.#ended.get(id);
    check(survey !== undefined, `the survey ${id} ends while it is awaited`);
    check(`${answers}` === `${survey.answers}`, `answers of ${answers}, not ${survey.answers}`);
    const quiet = [...survey.awaited, ...survey.gone].sort();
    check(`${[...silent].sort()}` === `${quiet}`, `silent were ${silent}, not ${quiet}`);
    this.#ended.delete(id);
  }

  settled(): void {
    check(this.#ended.size === 0, `the surveys ${[...this.#ended.keys()]} do not end`);
  }

  #end(id: string, survey: Survey): void {
    this.#open.delete(id);
    this.#ended.set(id, survey);
  }
}

interface Survey {
  readonly awaited: Set<string>;
  readonly gone: string[];
  readonly answers: string[];
  deadline: number;
}
