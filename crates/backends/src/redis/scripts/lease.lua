-- Says that a receiver is alive, and which shards are its own. Fair: of n shards and m receivers each gets n / m, those
-- first in order of their names one more. No clock is asked: each receiver sees by its own who gives no sign of life.
-- KEYS: owners, alive. ARGV: who, lease in ms, number of shards, number of the dead, then name and beat of each, then
-- the shards to give back.
-- Returns: epoch, quota, the shards owned, and name, beat and lease of each receiver.
local owners, alive = KEYS[1], KEYS[2]
local me, lease, shards = ARGV[1], ARGV[2], tonumber(ARGV[3])
local next = 5 + 2 * tonumber(ARGV[4])
local changed = false
for i = next, #ARGV do
  if redis.call('HGET', owners, ARGV[i]) == me then
    redis.call('HDEL', owners, ARGV[i])
    changed = true
  end
end
for i = 5, next - 1, 2 do
  -- One that has given a sign of life since it was looked at is not dead.
  local found = redis.call('HGET', alive, ARGV[i])
  if found and string.match(found, '^%d+') == ARGV[i + 1] and ARGV[i] ~= me then
    redis.call('HDEL', alive, ARGV[i])
    changed = true
  end
end
-- Of all receivers, so that one that was taken out and comes back is never mistaken for who it was before.
local beat = string.format('%.0f', redis.call('HINCRBY', owners, 'beats', 1))
if redis.call('HSET', alive, me, beat .. ' ' .. lease) == 1 then changed = true end

local there, count, rank, answer = {}, 0, 0, {}
local all = redis.call('HGETALL', alive)
for i = 1, #all, 2 do
  there[all[i]] = true
  count = count + 1
  if all[i] < me then rank = rank + 1 end
  local its_beat, its_lease = string.match(all[i + 1], '^(%d+) (%d+)$')
  answer[#answer + 1] = {all[i], its_beat, its_lease}
end
local quota = math.floor(shards / count)
if rank < shards % count then quota = quota + 1 end

local mine, free = {}, {}
for shard = 0, shards - 1 do
  local name = string.format('%d', shard)
  local owner = redis.call('HGET', owners, name)
  if owner == me then
    mine[#mine + 1] = shard
  elseif not owner or not there[owner] then
    free[#free + 1] = shard
  end
end
for _, shard in ipairs(free) do
  if #mine >= quota then break end
  redis.call('HSET', owners, string.format('%d', shard), me)
  mine[#mine + 1] = shard
  changed = true
end
if changed then redis.call('HINCRBY', owners, 'epoch', 1) end
return {tonumber(redis.call('HGET', owners, 'epoch')), quota, mine, answer}
