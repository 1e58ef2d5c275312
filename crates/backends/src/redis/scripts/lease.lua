-- Says that a receiver is alive, and which shards are its own. Fair: of n shards and m receivers each gets n / m, those
-- first in order of their names one more.
-- KEYS: owners, members. ARGV: who, lease in ms, number of shards, then the shards to give back.
-- Returns: epoch, quota, then the shards owned.
local owners, members = KEYS[1], KEYS[2]
local me, lease, shards = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = false
for i = 4, #ARGV do
  if redis.call('HGET', owners, ARGV[i]) == me then
    redis.call('HDEL', owners, ARGV[i])
    changed = true
  end
end
if redis.call('ZADD', members, string.format('%.0f', now + lease), me) == 1 then changed = true end
if redis.call('ZREMRANGEBYSCORE', members, '-inf', string.format('%.0f', now)) > 0 then changed = true end

local alive, rank = {}, 0
local names = redis.call('ZRANGE', members, 0, -1)
for _, name in ipairs(names) do
  alive[name] = true
  if name < me then rank = rank + 1 end
end
local quota = math.floor(shards / #names)
if rank < shards % #names then quota = quota + 1 end

local mine, free = {}, {}
for shard = 0, shards - 1 do
  local name = string.format('%d', shard)
  local owner = redis.call('HGET', owners, name)
  if owner == me then
    mine[#mine + 1] = shard
  elseif not owner or not alive[owner] then
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
local answer = {tonumber(redis.call('HGET', owners, 'epoch')), quota}
for _, shard in ipairs(mine) do answer[#answer + 1] = shard end
return answer
