/**
 * Lifecycle events in Redis. Each process has a stream of its own, so that what happens to one session lies in one
 * stream, in its order, whoever brings it to the backends; a hash of the sessions that are connected there, each with
 * the event of its end; and one of the channels that those have. How many processes have a channel is known of all
 * together, so that its events come from whichever process makes the difference, and have numbers for their order.
 */
import type { RedisScript } from "../ports.ts";
import { checked } from "../scripts/log.ts";

/** How long anything of a process is kept that nobody looks after, in milliseconds: longer than an event may wait. */
export const KEPT_MS = 25 * 60 * 60_000;
/** Sessions, and events, that one call takes over. */
const TAKEN_TOGETHER = 200;

/** A number that rises with each call. `clock` is the server's. */
function sequence(key: number): string {
  return `
local function sequence()
  local last = tonumber(redis.call('GET', KEYS[${key}]) or 0) or 0
  local next = string.format('%d', math.max(clock[1] * 1000000 + clock[2], last + 1))
  redis.call('SET', KEYS[${key}], next, 'PX', ${KEPT_MS})
  return next
end
`;
}

/**
 * Events of a process.
 *
 * KEYS: of the process events sessions taken channels, of all occupied sequence. ARGV: most events, 1 where the caller
 * knows that its process was taken over, then for each event what it is, its session or channel and bytes, which are
 * empty where nobody hears it: `connected` and the end of the session, `disconnected` and the event, `occupant` and the
 * event that ends it, behind it `occupied` and the event, `vacated` and the event, `event` and any other.
 *
 * Answers how many events there are and how many had no place; -1 and nothing else where the process was taken over.
 */
export const ADD: RedisScript = {
  name: "lifecycle-add",
  source: `${checked(
    new Map([
      [1, "stream"],
      [2, "hash"],
      [3, "string"],
      [4, "hash"],
      [5, "hash"],
      [6, "string"],
    ]),
  )}
if ARGV[2] == '1' then redis.call('DEL', KEYS[3])
elseif redis.call('EXISTS', KEYS[3]) == 1 then return { -1 } end
local clock = redis.call('TIME')
${sequence(6)}
local first = false
local function tell(bytes)
  if bytes ~= '' then redis.call('XADD', KEYS[1], '*', 'event', bytes, 'sequence', sequence()) end
end
for i = 3, #ARGV, 3 do
  local what, name, bytes = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if what == 'connected' then redis.call('HSET', KEYS[2], name, bytes)
  elseif what == 'occupant' then
    first = redis.call('HSET', KEYS[4], name, bytes) == 1 and redis.call('HINCRBY', KEYS[5], name, 1) == 1
  elseif what == 'occupied' then
    if first then tell(bytes) end
  elseif what == 'vacated' then
    if redis.call('HDEL', KEYS[4], name) == 1 and redis.call('HINCRBY', KEYS[5], name, -1) <= 0 then
      redis.call('HDEL', KEYS[5], name)
      tell(bytes)
    end
  else
    if what == 'disconnected' then redis.call('HDEL', KEYS[2], name) end
    redis.call('XADD', KEYS[1], '*', 'event', bytes)
  end
end
for _, key in ipairs({ 1, 2, 4, 5 }) do redis.call('PEXPIRE', KEYS[key], ${KEPT_MS}) end
local waiting, most, dropped = redis.call('XLEN', KEYS[1]), tonumber(ARGV[1]), 0
if waiting > most then dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', most) end
return { waiting - dropped, dropped }
`,
};

/**
 * Takes over some of what a process has left behind: the sessions that it had end, the channels that nobody else has
 * are vacated, and its events go to another.
 *
 * KEYS: alive, of the lost process events sessions taken channels, events of the caller, of all occupied sequence.
 * ARGV: what the names of the lost process begin with, most events.
 *
 * Answers 1 where there is more to take over, how many events have come to the caller, and how many had no place
 * there; -1 and nothing else where the process is not lost.
 */
export const TAKE_OVER: RedisScript = {
  name: "lifecycle-take-over",
  source: `${checked(
    new Map([
      [1, "zset"],
      [2, "stream"],
      [3, "hash"],
      [4, "string"],
      [5, "hash"],
      [6, "stream"],
      [7, "hash"],
      [8, "string"],
    ]),
  )}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(name, 1, #ARGV[1]) == ARGV[1] then return { -1 } end
end
local clock = redis.call('TIME')
local now = string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000))
${sequence(8)}
redis.call('SET', KEYS[4], '1', 'PX', ${KEPT_MS})
local sessions = redis.call('HSCAN', KEYS[3], 0, 'COUNT', ${TAKEN_TOGETHER})[2]
for i = 1, #sessions, 2 do
  redis.call('XADD', KEYS[2], '*', 'event', sessions[i + 1], 'time', now)
  redis.call('HDEL', KEYS[3], sessions[i])
end
if redis.call('EXISTS', KEYS[3]) == 1 then return { 1, 0, 0 } end
local channels = redis.call('HSCAN', KEYS[5], 0, 'COUNT', ${TAKEN_TOGETHER})[2]
for i = 1, #channels, 2 do
  local channel, bytes = channels[i], channels[i + 1]
  redis.call('HDEL', KEYS[5], channel)
  if redis.call('HINCRBY', KEYS[7], channel, -1) <= 0 then
    redis.call('HDEL', KEYS[7], channel)
    if bytes ~= '' then
      redis.call('XADD', KEYS[2], '*', 'event', bytes, 'time', now, 'sequence', sequence())
    end
  end
end
if redis.call('EXISTS', KEYS[5]) == 1 then return { 1, 0, 0 } end
local rows = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ${TAKEN_TOGETHER})
for _, row in ipairs(rows) do
  redis.call('XADD', KEYS[6], '*', unpack(row[2]))
  redis.call('XDEL', KEYS[2], row[1])
end
local more, dropped = 1, 0
if redis.call('XLEN', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[2])
  more = 0
end
redis.call('PEXPIRE', KEYS[6], ${KEPT_MS})
if redis.call('XLEN', KEYS[6]) > tonumber(ARGV[2]) then
  dropped = redis.call('XTRIM', KEYS[6], 'MAXLEN', ARGV[2])
end
return { more, #rows, dropped }
`,
};
