/**
 * Lifecycle events in Redis. Each process has a stream of its own, so that what happens to one session lies in one
 * stream, in its order, whichever process brings it to the backends; a hash of the sessions that are connected there, each with
 * the event of its end; and one of the channels that those have. How many processes have a channel is known of all
 * together, so that its events come from whichever process makes the difference, and have numbers for their order.
 */
import { flagOf, numberOf } from "../reply.ts";
import { checkedAll, NOW, script } from "../scripts/script.ts";

/** How long anything of a process is kept that nobody looks after, in milliseconds: longer than an event may wait. */
export const KEPT_MS = 25 * 60 * 60_000;
/** Sessions, and events, that one call takes over. */
const TAKEN_TOGETHER = 200;

/** Lua of a number that rises with each call. */
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
 * event that ends it, then `occupied` and the event, `vacated` and the event, `event` and any other.
 *
 * Answers whether the process was taken over, in which case nothing was done; how many events there are, and how many
 * had no place.
 */
export const ADD = script(
  "lifecycle-add",
  { taken: flagOf, waiting: numberOf, dropped: numberOf },
  `${checkedAll("stream", "hash", "string", "hash", "hash", "string")}${NOW}${sequence(6)}
local most = tonumber(ARGV[1])
local taken, waiting, dropped = 0, 0, 0
local first = false
local function tell(bytes)
  if bytes ~= '' then redis.call('XADD', KEYS[1], '*', 'event', bytes, 'sequence', sequence()) end
end

-- What is done for an event of each kind.
local kinds = {
  connected = function(name, bytes) redis.call('HSET', KEYS[2], name, bytes) end,
  disconnected = function(name, bytes)
    redis.call('HDEL', KEYS[2], name)
    redis.call('XADD', KEYS[1], '*', 'event', bytes)
  end,
  -- Only the first process that has a channel makes the difference, and the last one.
  occupant = function(name, bytes)
    first = redis.call('HSET', KEYS[4], name, bytes) == 1 and redis.call('HINCRBY', KEYS[5], name, 1) == 1
  end,
  occupied = function(_, bytes)
    if first then tell(bytes) end
  end,
  vacated = function(name, bytes)
    if redis.call('HDEL', KEYS[4], name) == 1 and redis.call('HINCRBY', KEYS[5], name, -1) <= 0 then
      redis.call('HDEL', KEYS[5], name)
      tell(bytes)
    end
  end,
  event = function(_, bytes) redis.call('XADD', KEYS[1], '*', 'event', bytes) end,
}

if ARGV[2] == '1' then redis.call('DEL', KEYS[3]) else taken = redis.call('EXISTS', KEYS[3]) end
if taken == 0 then
  for i = 3, #ARGV, 3 do kinds[ARGV[i]](ARGV[i + 1], ARGV[i + 2]) end
  for _, key in ipairs({ 1, 2, 4, 5 }) do redis.call('PEXPIRE', KEYS[key], ${KEPT_MS}) end
  waiting = redis.call('XLEN', KEYS[1])
  if waiting > most then dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', most) end
  waiting = waiting - dropped
end`,
);

/**
 * Takes over some of what a process has left behind: the sessions that it had end, the channels that nobody else has
 * are vacated, and its events go to another.
 *
 * KEYS: alive, of the lost process events sessions taken channels, events of the caller, of all occupied sequence.
 * ARGV: what the names of the lost process begin with, most events.
 *
 * Answers whether there is more to take over, how many events have come to the caller, and how many had no place
 * there. From a process that is there nothing is taken over.
 */
export const TAKE_OVER = script(
  "lifecycle-take-over",
  { more: flagOf, come: numberOf, dropped: numberOf },
  `${checkedAll("zset", "stream", "hash", "string", "hash", "stream", "hash", "string")}${NOW}${sequence(8)}
local at = string.format('%d', now)
local lost, more, come, dropped = true, 0, 0, 0

-- Ends some sessions of the process. Answers whether that was all.
local function endSessions()
  local sessions = redis.call('HSCAN', KEYS[3], 0, 'COUNT', ${TAKEN_TOGETHER})[2]
  for i = 1, #sessions, 2 do
    redis.call('XADD', KEYS[2], '*', 'event', sessions[i + 1], 'time', at)
    redis.call('HDEL', KEYS[3], sessions[i])
  end
  return redis.call('EXISTS', KEYS[3]) == 0
end

-- The same with its channels.
local function leaveChannels()
  local channels = redis.call('HSCAN', KEYS[5], 0, 'COUNT', ${TAKEN_TOGETHER})[2]
  for i = 1, #channels, 2 do
    local channel, bytes = channels[i], channels[i + 1]
    redis.call('HDEL', KEYS[5], channel)
    if redis.call('HINCRBY', KEYS[7], channel, -1) <= 0 then
      redis.call('HDEL', KEYS[7], channel)
      if bytes ~= '' then
        redis.call('XADD', KEYS[2], '*', 'event', bytes, 'time', at, 'sequence', sequence())
      end
    end
  end
  return redis.call('EXISTS', KEYS[5]) == 0
end

-- The same with its events, which the caller gets.
local function moveEvents()
  local rows = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ${TAKEN_TOGETHER})
  for _, row in ipairs(rows) do
    redis.call('XADD', KEYS[6], '*', unpack(row[2]))
    redis.call('XDEL', KEYS[2], row[1])
  end
  come = #rows
  redis.call('PEXPIRE', KEYS[6], ${KEPT_MS})
  if redis.call('XLEN', KEYS[6]) > tonumber(ARGV[2]) then
    dropped = redis.call('XTRIM', KEYS[6], 'MAXLEN', ARGV[2])
  end
  if redis.call('XLEN', KEYS[2]) > 0 then return false end
  redis.call('DEL', KEYS[2])
  return true
end

for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(name, 1, #ARGV[1]) == ARGV[1] then lost = false end
end
if lost then
  redis.call('SET', KEYS[4], '1', 'PX', ${KEPT_MS})
  if not (endSessions() and leaveChannels() and moveEvents()) then more = 1 end
end`,
);
