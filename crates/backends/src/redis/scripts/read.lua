-- Reads new entries of the shards that are the receiver's own. Asking who owns a shard and reading it is one step, so
-- that a receiver that was paused beyond its lease cannot take entries from the next owner.
-- KEYS: owners, then streams. ARGV: who, group, how many at most, how many of one shard, then the shard of each stream.
-- Returns: epoch, then for each shard with entries: shard and entries; for one that is lost: shard and 0.
local me, group = ARGV[1], ARGV[2]
local room, each = tonumber(ARGV[3]), tonumber(ARGV[4])
local answer = {tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)}
for i = 2, #KEYS do
  local shard = ARGV[i + 3]
  if redis.call('HGET', KEYS[1], shard) ~= me then
    answer[#answer + 1] = {tonumber(shard), 0}
  elseif room > 0 then
    local count = math.min(room, each)
    local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', count, 'STREAMS', KEYS[i], '>')
    if read then
      local entries = read[1][2]
      room = room - #entries
      answer[#answer + 1] = {tonumber(shard), entries}
    end
  end
end
return answer
