/** What scripts have in common: what they check first, and the names of what they answer. */
import type { RedisReply, RedisScript } from "../ports.ts";
import { listOf } from "../reply.ts";

/** A script, and what its answers mean. */
export interface Script<Answer> extends RedisScript {
  /** The parts of an answer by their names. @throws RedisFailure where they are not what the script answers */
  read(reply: RedisReply): Answer;
}

/**
 * A script whose answer has a name for each of its parts.
 *
 * @param parts what reads each part. The script ends with a list of its variables of these names, in this order
 * @param body Lua that leaves those variables
 * @example
 * const TIME = script("time", { now: numberOf }, "local now = redis.call('TIME')[1]");
 * const { now } = TIME.read(await commands.run(TIME, [key], []));
 */
export function script<Answer>(
  name: string,
  parts: { readonly [Part in keyof Answer]: (reply: RedisReply | undefined) => Answer[Part] },
  body: string,
): Script<Answer> {
  const names = Object.keys(parts) as (keyof Answer & string)[];
  return {
    name,
    source: `${body}\nreturn { ${names.join(", ")} }\n`,
    read: (reply) => {
      const list = listOf(reply, names.length);
      const answer: Partial<Answer> = {};
      for (const [i, part] of names.entries()) answer[part] = parts[part](list[i]);
      return answer as Answer;
    },
  };
}

/**
 * Lua that looks at keys before a script writes anything: where a key holds what is not ours the script ends with
 * WRONGTYPE and has changed nothing, so that all is well when that key has gone.
 *
 * @param types what each key has to hold, by its number from 1
 */
export function checked(types: ReadonlyMap<number, string>): string {
  const wanted = [...types].map(([key, type]) => `[${key}]='${type}'`).join(", ");
  return `
for i, wanted in pairs({${wanted}}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. found .. ' that is not ours')
  end
end
`;
}

/** The same where the keys are all that the script has, in their order. */
export function checkedAll(...types: readonly string[]): string {
  return checked(new Map(types.map((type, i) => [i + 1, type])));
}

/** Lua that reads the server's clock, in Unix milliseconds. */
export const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`;

/** Lua that names the server's life, which ends when the server does. */
export const RUN = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
`;
