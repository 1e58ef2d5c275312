-- Takes over what was delivered and not acknowledged, in order, if the shard is the receiver's own.
-- KEYS: owners, alive, stream. ARGV: who, group, shard, after which id, how many.
-- Returns: state ('lost', 'more' or 'done'), the last id looked at, the group's last delivered id, then for each
-- entry: id, deliveries, names and values.
local me, group, shard = ARGV[1], ARGV[2], ARGV[3]
local after, count = ARGV[4], tonumber(ARGV[5])
local key = KEYS[3]
if redis.call('HGET', KEYS[1], shard) ~= me then return {'lost'} end

local pending = redis.call('XPENDING', key, group, '(' .. after, '+', count)
local state = #pending < count and 'done' or 'more'
local answer = {state, after, '0-0'}
for _, entry in ipairs(pending) do
  local id, deliveries = entry[1], entry[4]
  answer[2] = id
  -- One that is the receiver's own already comes again because a connection was lost: it is not handed out once more.
  if entry[2] == me then deliveries = math.max(deliveries - 1, 0) end
  local claimed = redis.call('XCLAIM', key, group, me, 0, id, 'RETRYCOUNT', deliveries + 1)[1]
  -- An entry that was deleted meanwhile has nothing to claim.
  if claimed and claimed[2] then answer[#answer + 1] = {id, deliveries, claimed[2]} end
end
for _, found in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local fields = {}
  for i = 1, #found, 2 do fields[found[i]] = found[i + 1] end
  if fields['name'] == group then answer[3] = fields['last-delivered-id'] end
end
if state == 'done' then
  -- Receivers that are gone and have nothing pending any more.
  for _, found in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    local consumer = {}
    for i = 1, #found, 2 do consumer[found[i]] = found[i + 1] end
    local gone = not redis.call('HGET', KEYS[2], consumer['name'])
    if gone and consumer['pending'] == 0 then
      redis.call('XGROUP', 'DELCONSUMER', key, group, consumer['name'])
    end
  end
end
return answer
