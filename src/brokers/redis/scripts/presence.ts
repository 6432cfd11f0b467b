/** Which sessions are present in a channel, and which nodes there are: the rules of `ChannelPresence`, as scripts. */
import { flagOf, membersOf, nameOf, numberOf, textOf, textsOf, waitOf } from "../reply.ts";
import { prelude } from "./log.ts";
import { checkedAll, NOW, RUN, script } from "./script.ts";

/**
 * Sessions of one node come and go, graces end, and what changes is published. ARGV after the prelude's:
 * grace in milliseconds, node, a node that has lost its sessions or an empty string, 1 where what
 * follows names all of the node's sessions; then a letter for each: j session member (it joins), l
 * session (it drops), c session (it leaves for good).
 *
 * One hash holds, by the first letter of the field, sessions (node, 1 while leaving, member), members
 * (sessions, those that are not leaving, time of the join) and the sessions of a member that are
 * leaving. The hash of the channel counts the sessions of each node. One sorted set holds members by the
 * generation of their join, one those leaving by the end of their grace.
 *
 * Answers how many milliseconds it is to the end of the next grace, or -1.
 */
export const PRESENCE = script(
  "presence",
  { epoch: nameOf, wait: waitOf },
  `${prelude([5, 6, 7])}
local members, sessions, leaving = KEYS[5], KEYS[6], KEYS[7]
local grace, me, gone, complete = tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11] == '1'
local last = presence
local function get(field) return redis.call('HGET', sessions, field) end
local function set(field, value) redis.call('HSET', sessions, field, value) end
local function drop(field) redis.call('HDEL', sessions, field) end

-- Publishes that a member has joined (+) or left (-).
local function publish(sign, key, time)
  local previous = presence
  presence = math.max(presence + 1, now)
  local line = string.format('%s%d %s %d %d %d', sign, generation, epoch, presence, previous, time)
  redis.call('PUBLISH', topic, line .. '\\n' .. key)
end

-- Node of a session, 1 while it is leaving, and its member; nothing where there is no such session.
local function session(name)
  local value = get('s' .. name)
  if value then return string.match(value, '^(.-)\\n(%d)\\n(.*)$') end
end

-- Sessions of a member, those that are not leaving, when it joined, and whether it is here.
local function member(key)
  local value = get('m' .. key)
  if not value then return 0, 0, now, false end
  local all, present, time = string.match(value, '^(%d+) (%d+) (%d+)$')
  return tonumber(all), tonumber(present), tonumber(time), true
end
local function save(key, all, present, time) set('m' .. key, string.format('%d %d %d', all, present, time)) end

-- A session is not among its member's leaving ones any more.
local function settled(key, name)
  redis.call('ZREM', leaving, name)
  local rest = string.gsub(get('l' .. key) or '', '[^\\n]+\\n', function(line)
    if line == name .. '\\n' then return '' end
  end)
  if rest == '' then drop('l' .. key) else set('l' .. key, rest) end
end

-- Counts the sessions of a node.
local function count(node, by)
  if redis.call('HINCRBY', KEYS[1], 'node:' .. node, by) < 1 then redis.call('HDEL', KEYS[1], 'node:' .. node) end
end
local function forget(name, node)
  drop('s' .. name)
  count(node, -1)
end

-- A session joins, or is here once more: from another node, or within its grace.
local function join(name, key)
  local node, left, known = session(name)
  if node then
    if node == me and left == '0' then return end
    count(node, -1)
    count(me, 1)
    if left == '1' then
      local all, present, time = member(known)
      save(known, all, present + 1, time)
      settled(known, name)
    end
    set('s' .. name, me .. '\\n0\\n' .. known)
    return
  end
  local all, present, time, here = member(key)
  if not here then
    publish('+', key, time)
    redis.call('ZADD', members, presence, key)
  end
  -- The member is back: no grace of its other sessions has to end.
  for old in string.gmatch(get('l' .. key) or '', '[^\\n]+') do
    local its = session(old)
    if its then forget(old, its) end
    redis.call('ZREM', leaving, old)
    all = all - 1
  end
  drop('l' .. key)
  save(key, all + 1, present + 1, time)
  set('s' .. name, me .. '\\n0\\n' .. key)
  count(me, 1)
end

-- A session is gone for good, and its member with the last one.
local function remove(name, node, key, left)
  local all, present, time = member(key)
  forget(name, node)
  if left == '1' then settled(key, name) else present = present - 1 end
  if all > 1 then return save(key, all - 1, present, time) end
  drop('m' .. key)
  redis.call('ZREM', members, key)
  publish('-', key, time)
end

-- A session leaves: at once where it says so, others of its member are here, or there is no grace.
local function leave(name, clean)
  local node, left, key = session(name)
  if not node then return end
  local all, present, time = member(key)
  local others = present
  if left == '0' then others = present - 1 end
  if clean or others > 0 or grace == 0 then return remove(name, node, key, left) end
  if left == '1' then return end
  set('s' .. name, node .. '\\n1\\n' .. key)
  redis.call('ZADD', leaving, now + grace, name)
  set('l' .. key, (get('l' .. key) or '') .. name .. '\\n')
  save(key, all, present - 1, time)
end

-- All sessions of a node drop, except some.
local function leaveAll(node, except)
  local all = redis.call('HGETALL', sessions)
  for i = 1, #all, 2 do
    local field = all[i]
    if string.sub(field, 1, 1) == 's' and string.sub(all[i + 1], 1, #node + 1) == node .. '\\n' then
      local name = string.sub(field, 2)
      if not except[name] then leave(name, false) end
    end
  end
end

-- Graces that are over.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', leaving, '-inf', now)) do
  local node, left, key = session(name)
  if left then remove(name, node, key, left) else redis.call('ZREM', leaving, name) end
end
local named = {}
local i = 12
while i <= #ARGV do
  local name = ARGV[i + 1]
  if ARGV[i] == 'j' then
    join(name, ARGV[i + 2])
    named[name] = true
    i = i + 3
  else
    leave(name, ARGV[i] == 'c')
    i = i + 2
  end
end
if complete then leaveAll(me, named) end
if gone ~= '' then leaveAll(gone, {}) end
if presence ~= last then redis.call('HSET', KEYS[1], 'presence', string.format('%d', presence)) end
keep()
local soonest = redis.call('ZRANGE', leaving, 0, 0, 'WITHSCORES')[2]
local wait = -1
if soonest then wait = math.max(tonumber(soonest) - now, 0) end`,
);

/**
 * Lists members in the order of their joins, and says how many there are. ARGV after the prelude's: members at most.
 */
export const MEMBERS = script(
  "members",
  { epoch: nameOf, presence: numberOf, total: numberOf, members: membersOf },
  `${prelude([5, 6])}
local limit = tonumber(ARGV[8])
local total, members = redis.call('ZCARD', KEYS[5]), {}
if limit > 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[5], 0, limit - 1)) do
    local value = redis.call('HGET', KEYS[6], 'm' .. key)
    members[#members + 1] = key
    members[#members + 1] = tonumber(string.match(value or '', '%d+$') or 0)
  end
end`,
);

/**
 * A node says that it is there, and learns whose members it has to see to: each name is given to one
 * node, and to another where that one does not come to an end with it.
 *
 * KEYS: alive lost. ARGV: node, the name that it had until now or an empty string, milliseconds of
 * silence that a node is lost after, milliseconds for one turn at a lost node.
 *
 * Answers whether the node was known, the server's life, the time, and names of lost nodes.
 */
export const BEAT = script(
  "beat",
  { known: flagOf, run: textOf, now: numberOf, lost: textsOf },
  `${checkedAll("zset", "zset")}${NOW}${RUN}
local me, former, silence, turn = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local known = 0
if redis.call('ZSCORE', KEYS[1], me) then known = 1 end
redis.call('ZADD', KEYS[1], now, me)
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - silence)
if former ~= '' then silent[#silent + 1] = former end
for _, name in ipairs(silent) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('ZADD', KEYS[2], 'NX', 0, name)
end
-- The score of a lost node is when its next turn begins.
local lost = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 4)
for _, name in ipairs(lost) do redis.call('ZADD', KEYS[2], now + turn, name) end`,
);

/**
 * Names the nodes that are heard of. KEYS: alive. ARGV: node, the time of its last beat,
 * the run id that the server had then.
 *
 * It is sound where that beat is the last thing that Redis knows of the node: it has not come back with less,
 * and no other beat is on its way.
 */
export const NODES = script(
  "nodes",
  { sound: flagOf, names: textsOf },
  `${RUN}
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
local sound = 0
if beat and tonumber(beat) == tonumber(ARGV[2]) and run == ARGV[3] then sound = 1 end
local names = redis.call('ZRANGE', KEYS[1], 0, -1)`,
);
