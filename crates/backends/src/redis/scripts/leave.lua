-- Gives everything back that a receiver owns.
-- KEYS: owners, alive, then streams. ARGV: who, group.
local me, group = ARGV[1], ARGV[2]
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i + 1] == me then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('HDEL', KEYS[2], me)
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
-- A consumer with pending entries stays until they are claimed: deleting it would lose them.
for i = 3, #KEYS do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i], group)
  if not consumers.err then
    for _, answer in ipairs(consumers) do
      local consumer = {}
      for field = 1, #answer, 2 do consumer[answer[field]] = answer[field + 1] end
      if consumer['name'] == me and consumer['pending'] == 0 then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[i], group, me)
      end
    end
  end
end
return redis.status_reply('OK')
