/**
 * A channel's log in Redis: the rules of `ChannelLog`, as scripts. A log is a stream whose ids are
 * `generation-offset`; a generation is one life of the log and has an epoch for its name. Generations
 * are times, so that they rise even where everything before was forgotten.
 */
import type { RedisScript } from "../ports.ts";

/** What the keys of a channel hold, in the order in which scripts take them. */
const TYPES = ["hash", "stream", "hash", "list", "zset", "hash", "zset"] as const;

/**
 * Looks at keys that a script is going to write or read, before it writes anything: where a key holds what is not
 * ours the script ends with WRONGTYPE and has changed nothing, so that all is well when that key has gone.
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

/**
 * What every script of a channel begins with: it reads the clock and what is known of the channel, and
 * begins a new generation where the old one cannot be trusted any more:
 *
 * - nothing is known of the channel;
 * - the server is another life than the one that wrote, and may have come back with less than it
 *   acknowledged, unless the operator vouches for it;
 * - the caller has seen an entry of this epoch that the log does not have.
 *
 * KEYS: meta log dedup order members sessions leaving. ARGV: epoch of the next generation, durable,
 * epoch, generation and offset that the caller has seen, milliseconds to live, topic. Every answer begins
 * with the epoch.
 *
 * @param keys numbers of the keys that the script touches beside those of the log's life, the first two
 */
export function prelude(keys: readonly number[]): string {
  return checked(new Map([1, 2, ...keys].map((key) => [key, TYPES[key - 1] ?? ""]))) + PRELUDE;
}

const PRELUDE = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('HMGET', KEYS[1], 'epoch', 'generation', 'head', 'time', 'removed', 'run', 'presence')
local epoch = known[1]
local function number(field) return tonumber(known[field] or 0) or 0 end
local generation, head, newest, removed, presence = number(2), number(3), number(4), number(5), number(7)
local function keep(ttl)
  -- Never shortened: a node may have asked for more. A little is added, so that few calls have to.
  local left = redis.call('PTTL', KEYS[1])
  if left < ttl then left = ttl + math.floor(ttl / 8) end
  for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], left) end
end
local function begin()
  generation = math.max(generation + 1, now, tonumber(ARGV[4]) + 1)
  if redis.call('EXISTS', KEYS[2]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[2])
    for i = 1, #stream, 2 do
      if stream[i] == 'last-generated-id' then
        generation = math.max(generation, tonumber(string.match(stream[i + 1], '^%d+')) + 1)
      end
    end
  end
  epoch, head, removed = ARGV[1], 0, 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'generation', string.format('%d', generation),
    'head', 0, 'time', newest, 'removed', 0, 'run', run, 'presence', presence)
  keep(tonumber(ARGV[6]))
end
if not epoch or (known[6] ~= run and ARGV[2] == '0') or (epoch == ARGV[3] and head < tonumber(ARGV[5])) then
  begin()
elseif redis.call('PTTL', KEYS[1]) < tonumber(ARGV[6]) then
  keep(tonumber(ARGV[6]))
end
local function id(offset) return string.format('%d-%d', generation, offset) end
`;

/**
 * Reading. `retained` follows ChannelLog.retained, and lets go of entries that have grown too old.
 * Entries are told as offset, time, body, one after the other.
 */
const READING = `
local function at(from, to, name)
  local found = redis.call(name or 'XRANGE', KEYS[2], from, to, 'COUNT', 1)[1]
  if found then return tonumber(string.match(found[1], '%d+$')), tonumber(found[2][2]) end
end
local function stored() return at(string.format('%d', generation), string.format('%d', generation)) end
local function retained(size, ttl)
  local last = head + 1
  local first = math.min(math.max(last - size, removed + 1, stored() or last), last)
  local born = now - ttl
  local function old(offset)
    local _, time = at(id(offset), id(offset))
    return (time or 0) <= born
  end
  if first < last and old(first) then
    local low, high = first, last
    while low < high do
      local middle = math.floor((low + high) / 2)
      if old(middle) then low = middle + 1 else high = middle end
    end
    first = low
    redis.call('XTRIM', KEYS[2], 'MINID', id(first))
  end
  local reason = ''
  if first > 1 then
    if first - 1 <= removed or head - first + 1 >= size then reason = 'head_trimmed' else reason = 'expired' end
  end
  return first, reason
end
local function read(from, to, limit, bytes, name)
  local result, taken = {}, 0
  while limit > 0 do
    local page = redis.call(name, KEYS[2], from, to, 'COUNT', math.min(limit, 64))
    for _, entry in ipairs(page) do
      local body = entry[2][4]
      if #result > 0 and taken + #body > bytes then return result end
      taken = taken + #body
      result[#result + 1] = tonumber(string.match(entry[1], '%d+$'))
      result[#result + 1] = tonumber(entry[2][2])
      result[#result + 1] = body
    end
    if #page < 64 then return result end
    limit = limit - #page
    from = '(' .. page[#page][1]
  end
  return result
end
`;

/**
 * Appends entries, or finds what their keys stand for already, and tells of them. ARGV behind the
 * prelude's: history size, dedup size, dedup window in milliseconds, then key and body of each.
 *
 * Answers epoch, then for each an offset and 0, or for a repeated key the first one's offset and epoch.
 */
export const PUBLISH: RedisScript = {
  name: "publish",
  source: `${prelude([3, 4])}
local size, most, window = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local time = math.max(now, newest)
local result = { epoch }
local before, length, fresh = head, 0, 0
local function append(time, body)
  local answer = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', size, id(head), 't', time, 'b', body)
  if type(answer) == 'table' and answer.err then return answer end
end
for i = 11, #ARGV, 2 do
  local key = ARGV[i]
  local first = redis.call('HGET', KEYS[3], key)
  local e, o, t
  if first then e, o, t = string.match(first, '^(%S+) (%d+) (%d+)$') end
  if e and time - t < window and (e ~= epoch or head - o < most) then
    result[#result + 1] = tonumber(o)
    result[#result + 1] = e
  else
    head = head + 1
    fresh = fresh + 1
    local place = string.format(' %d %d', head, time)
    local problem = size > 0 and append(time, ARGV[i + 1])
    if problem then
      -- By the first entry of a call it is known whether the log goes on.
      if fresh > 1 or not string.find(problem.err, 'equal or smaller', 1, true) then return problem end
      -- Somebody else has written to the log, or a call ended halfway: what comes now begins a new one.
      begin()
      result[1], before, head = epoch, 0, 1
      place = string.format(' %d %d', head, time)
      append(time, ARGV[i + 1])
    end
    redis.call('HSET', KEYS[3], key, epoch .. place)
    length = redis.call('RPUSH', KEYS[4], epoch .. place .. ' ' .. key)
    redis.call('PUBLISH', ARGV[7], string.format('%d ', generation) .. epoch .. place .. '\\n' .. ARGV[i + 1])
    result[#result + 1] = head
    result[#result + 1] = 0
  end
end
if fresh > 0 then
  redis.call('HSET', KEYS[1], 'head', head, 'time', time)
  if before == 0 or length == fresh then keep(tonumber(ARGV[6])) end
  -- A few more than came, so that what is over goes away bit by bit.
  for _ = 1, 2 * fresh + 2 do
    local oldest = redis.call('LINDEX', KEYS[4], 0)
    if not oldest then break end
    local value, t, key = string.match(oldest, '^(%S+ %d+ (%d+)) (.*)$')
    if value and length <= most and time - t < window then break end
    redis.call('LPOP', KEYS[4])
    length = length - 1
    if value and redis.call('HGET', KEYS[3], key) == value then redis.call('HDEL', KEYS[3], key) end
  end
end
return result
`,
};

/**
 * Tells where a channel is, and keeps it alive. ARGV behind the prelude's: history size and how long
 * history holds an entry.
 *
 * Answers epoch, generation, head, presence generation, and the names of nodes that have sessions here.
 */
export const OPEN: RedisScript = {
  name: "open",
  source: `${prelude([])}${READING}
retained(tonumber(ARGV[8]), tonumber(ARGV[9]))
local nodes = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'node:' then nodes[#nodes + 1] = string.sub(field, 6) end
end
return { epoch, generation, head, presence, nodes }
`,
};

/**
 * What a node that has come as far as the prelude says has missed, whatever history holds. ARGV behind
 * the prelude's: history size, entries and bytes at most.
 *
 * Answers epoch, generation, head, presence generation, what became of what is missing at the front of
 * the log, entries of the generation that the node knows where that has ended, entries.
 */
export const CATCH_UP: RedisScript = {
  name: "catch-up",
  source: `${prelude([])}${READING}
local size, limit, bytes = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local after, tail = 0, {}
if ARGV[3] == epoch then after = tonumber(ARGV[5])
elseif ARGV[3] ~= '' and tonumber(ARGV[4]) < generation then
  tail = read(string.format('(%s-%s', ARGV[4], ARGV[5]), ARGV[4], limit, bytes, 'XRANGE')
end
local missing = (stored() or head + 1) - 1
local reason = 'expired'
if missing <= removed or head - missing >= size then reason = 'head_trimmed' end
local entries = read('(' .. id(after), string.format('%d', generation), limit, bytes, 'XRANGE')
return { epoch, generation, head, presence, reason, tail, entries }
`,
};

/**
 * A page of history. ARGV behind the prelude's: history size, how long it holds an entry, epoch and
 * offset to begin at or two empty strings, entries and bytes at most, 1 for reverse.
 *
 * Answers epoch, head, first, reason, 1 for more, entries.
 */
export const HISTORY: RedisScript = {
  name: "history",
  source: `${prelude([])}${READING}
local size, ttl = tonumber(ARGV[8]), tonumber(ARGV[9])
local limit, bytes = tonumber(ARGV[12]), tonumber(ARGV[13])
local first, reason = retained(size, ttl)
if ARGV[10] ~= '' and ARGV[10] ~= epoch then return { epoch, head, first, reason, 0, {} } end
local since = tonumber(ARGV[11])
local after, to, entries = first - 1, head, {}
if ARGV[14] == '1' then
  to = math.min((since or head + 1) - 1, head)
  if to > after then entries = read(id(to), id(after + 1), limit, bytes, 'XREVRANGE') end
else
  after = math.max(since or 0, after)
  if to > after then entries = read(id(after + 1), id(to), limit, bytes, 'XRANGE') end
end
local more = 0
if to - after > #entries / 3 then more = 1 end
return { epoch, head, first, reason, more, entries }
`,
};

/** Takes every entry out of history. */
export const REMOVE: RedisScript = {
  name: "remove",
  source: `${prelude([])}
redis.call('HSET', KEYS[1], 'removed', head)
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)
return { epoch }
`,
};
