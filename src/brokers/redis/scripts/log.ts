/**
 * A channel's log in Redis: the rules of `ChannelLog`, as scripts. A log is a stream whose ids are
 * `generation-offset`; a generation is one life of the log and has an epoch for its name. Generations
 * are times, so that they rise even where everything before was forgotten.
 */
import { entriesOf, flagOf, nameOf, numberOf, placesOf, reasonOf, textsOf } from "../reply.ts";
import { checked, NOW, RUN, script } from "./script.ts";

/** What the keys of a channel hold, in the order in which scripts take them. */
const TYPES = ["hash", "stream", "hash", "list", "zset", "hash", "zset"] as const;

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

const PRELUDE = `${NOW}${RUN}
local nextEpoch, durable, seenEpoch, seenGeneration, seenOffset, ttl, topic = unpack(ARGV, 1, 7)
seenGeneration, seenOffset, ttl = tonumber(seenGeneration), tonumber(seenOffset), tonumber(ttl)

-- What is known of the channel.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'generation', 'head', 'time', 'removed', 'run', 'presence')
local function number(field) return tonumber(known[field] or 0) or 0 end
local epoch, knownRun = known[1], known[6]
local generation, head, newest, removed, presence = number(2), number(3), number(4), number(5), number(7)

-- Keeps all of the channel alive. Never shortened: a node may have asked for more. A little is added, so that few
-- calls have to.
local function keep()
  local left = redis.call('PTTL', KEYS[1])
  if left < ttl then left = ttl + math.floor(ttl / 8) end
  for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], left) end
end

-- Begins a generation above all that the caller, the stream and the clock know. Presence goes on.
local function begin()
  generation = math.max(generation + 1, now, seenGeneration + 1)
  if redis.call('EXISTS', KEYS[2]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[2])
    for i = 1, #stream, 2 do
      if stream[i] == 'last-generated-id' then
        generation = math.max(generation, tonumber(string.match(stream[i + 1], '^%d+')) + 1)
      end
    end
  end
  epoch, head, removed = nextEpoch, 0, 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'generation', string.format('%d', generation),
    'head', 0, 'time', newest, 'removed', 0, 'run', run, 'presence', presence)
  keep()
end

local restarted = knownRun ~= run and durable == '0'
local lost = epoch == seenEpoch and head < seenOffset
if not epoch or restarted or lost then begin()
elseif redis.call('PTTL', KEYS[1]) < ttl then keep() end

-- The id in the stream of an entry of this generation.
local function id(offset) return string.format('%d-%d', generation, offset) end
`;

/** Reading. Entries are answered as offset, time, body, one after the other. */
const READING = `
-- Offset and time of the first entry in a range of the stream.
local function at(from, to)
  local found = redis.call('XRANGE', KEYS[2], from, to, 'COUNT', 1)[1]
  if found then return tonumber(string.match(found[1], '%d+$')), tonumber(found[2][2]) end
end

-- Offset of the oldest entry of this generation that the stream still has.
local function stored() return at(string.format('%d', generation), string.format('%d', generation)) end

-- As ChannelLog.retained: the first offset that history holds, and what became of the one before. Lets go of
-- entries that are older than maxAge milliseconds.
local function retained(size, maxAge)
  local last = head + 1
  local first = math.min(math.max(last - size, removed + 1, stored() or last), last)
  local function old(offset)
    local _, time = at(id(offset), id(offset))
    return (time or 0) <= now - maxAge
  end
  if first < last and old(first) then
    -- Times never go back in a log, so that the first young entry is found by halving.
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

-- Entries of a range of the stream, by XRANGE or XREVRANGE: so many at most, and so many bytes, but always one.
local function read(command, from, to, limit, bytes)
  local result, taken = {}, 0
  while limit > 0 do
    local page = redis.call(command, KEYS[2], from, to, 'COUNT', math.min(limit, 64))
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
 * Appends entries, or finds what their keys stand for already, and publishes them. ARGV after the
 * prelude's: history size, dedup size, dedup window in milliseconds, then key and body of each.
 *
 * Answers the epoch, and for each an offset and 0, or for a repeated key the first one's offset and epoch.
 */
export const PUBLISH = script(
  "publish",
  { epoch: nameOf, places: placesOf },
  `${prelude([3, 4])}
local size, most, window = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local time = math.max(now, newest)
local places = {}
local before, length, fresh = head, 0, 0

-- Writes the entry at the head; answers the error where that cannot be done.
local function append(body)
  local answer = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', size, id(head), 't', time, 'b', body)
  if type(answer) == 'table' and answer.err then return answer end
end

-- Epoch and offset of the entry that was published by a key, where that is still remembered.
local function firstOf(key)
  local epochThen, offset, at = string.match(redis.call('HGET', KEYS[3], key) or '', '^(%S+) (%d+) (%d+)$')
  if epochThen and time - at < window and (epochThen ~= epoch or head - offset < most) then
    return epochThen, tonumber(offset)
  end
end

for i = 11, #ARGV, 2 do
  local key, body = ARGV[i], ARGV[i + 1]
  local epochThen, offset = firstOf(key)
  if epochThen then
    places[#places + 1] = offset
    places[#places + 1] = epochThen
  else
    head = head + 1
    fresh = fresh + 1
    local problem = size > 0 and append(body)
    if problem then
      -- By the first entry of a call it is known whether the log goes on.
      if fresh > 1 or not string.find(problem.err, 'equal or smaller', 1, true) then return problem end
      -- Somebody else has written to the log, or a call ended halfway: what comes now begins a new one.
      begin()
      before, head = 0, 1
      append(body)
    end
    local place = string.format('%s %d %d', epoch, head, time)
    redis.call('HSET', KEYS[3], key, place)
    length = redis.call('RPUSH', KEYS[4], place .. ' ' .. key)
    redis.call('PUBLISH', topic, string.format('%d ', generation) .. place .. '\\n' .. body)
    places[#places + 1] = head
    places[#places + 1] = 0
  end
end
if fresh > 0 then
  redis.call('HSET', KEYS[1], 'head', head, 'time', time)
  -- A key that this call has made does not expire yet.
  if before == 0 or length == fresh then keep() end
  -- Keys are forgotten a few more than came, so that what is over goes away bit by bit.
  for _ = 1, 2 * fresh + 2 do
    local oldest = redis.call('LINDEX', KEYS[4], 0)
    if not oldest then break end
    local value, at, key = string.match(oldest, '^(%S+ %d+ (%d+)) (.*)$')
    if value and length <= most and time - at < window then break end
    redis.call('LPOP', KEYS[4])
    length = length - 1
    if value and redis.call('HGET', KEYS[3], key) == value then redis.call('HDEL', KEYS[3], key) end
  end
end`,
);

/** Where a channel is. */
const PLACE = { epoch: nameOf, generation: numberOf, head: numberOf, presence: numberOf };

/**
 * Answers where a channel is, and keeps it alive. ARGV after the prelude's: history size and how long
 * history holds an entry. First and reason are as in a page of history; nodes are the names of those that have
 * sessions here.
 */
export const OPEN = script(
  "open",
  { ...PLACE, first: numberOf, reason: reasonOf, nodes: textsOf },
  `${prelude([])}${READING}
local first, reason = retained(tonumber(ARGV[8]), tonumber(ARGV[9]))
local nodes = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'node:' then nodes[#nodes + 1] = string.sub(field, 6) end
end`,
);

/**
 * What a node that has come as far as the prelude says has missed, whatever history holds. ARGV after
 * the prelude's: history size, entries and bytes at most.
 *
 * The reason is what became of what is missing at the front of the log, the tail entries of the generation that the
 * node knows where that has ended.
 */
export const CATCH_UP = script(
  "catch-up",
  { ...PLACE, reason: reasonOf, tail: entriesOf, entries: entriesOf },
  `${prelude([])}${READING}
local size, limit, bytes = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local after, tail = 0, {}
if seenEpoch == epoch then after = seenOffset
elseif seenEpoch ~= '' and seenGeneration < generation then
  local seen = string.format('%d', seenGeneration)
  tail = read('XRANGE', string.format('(%s-%d', seen, seenOffset), seen, limit, bytes)
end
local missing = (stored() or head + 1) - 1
local reason = 'expired'
if missing <= removed or head - missing >= size then reason = 'head_trimmed' end
local entries = read('XRANGE', '(' .. id(after), string.format('%d', generation), limit, bytes)`,
);

/**
 * A page of history. ARGV after the prelude's: history size, how long it holds an entry, epoch and
 * offset to begin at or two empty strings, entries and bytes at most, 1 for reverse.
 */
export const HISTORY = script(
  "history",
  {
    epoch: nameOf,
    head: numberOf,
    first: numberOf,
    reason: reasonOf,
    more: flagOf,
    entries: entriesOf,
  },
  `${prelude([])}${READING}
local sinceEpoch, since, reverse = ARGV[10], tonumber(ARGV[11]), ARGV[14] == '1'
local limit, bytes = tonumber(ARGV[12]), tonumber(ARGV[13])
local first, reason = retained(tonumber(ARGV[8]), tonumber(ARGV[9]))
local more, entries = 0, {}
-- Of another epoch nothing is answered.
if sinceEpoch == '' or sinceEpoch == epoch then
  -- What lies after the one offset and up to the other.
  local after, to = first - 1, head
  if reverse then to = math.min((since or head + 1) - 1, head) else after = math.max(since or 0, after) end
  if to > after then
    if reverse then entries = read('XREVRANGE', id(to), id(after + 1), limit, bytes)
    else entries = read('XRANGE', id(after + 1), id(to), limit, bytes) end
  end
  if to - after > #entries / 3 then more = 1 end
end`,
);

/** Takes every entry out of history. */
export const REMOVE = script(
  "remove",
  { epoch: nameOf },
  `${prelude([])}
redis.call('HSET', KEYS[1], 'removed', head)
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)`,
);
