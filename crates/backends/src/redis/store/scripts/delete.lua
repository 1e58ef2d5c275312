-- Deletes a stream if it is as expected, or goes on with a deletion that was begun.
-- KEYS: meta, log, next, deleting, the stream's index, what is left of an index that was deleted.
-- ARGV: version, what to do ('delete' or 'go on'), the stream's name, what is expected (as for append, or ''), how many
-- events to delete in one call.
-- Returns what has come of it, how many events, and whether some are left to be deleted by further calls.
local meta, log, next_revision, deleting, index, gone = unpack(KEYS)
local version, step, name, expected, most = unpack(ARGV)
most = tonumber(most)
local found = redis.call('HGET', meta, 'version')
if found ~= version then return {'layout', found or ''} end

local outcome, events = 'deleted', 0
if step == 'delete' and redis.call('EXISTS', gone) == 1 then
  outcome = 'busy'
elseif step == 'delete' then
  local actual
  if redis.call('EXISTS', index) == 1 then actual = tonumber(redis.call('HGET', next_revision, name)) - 1 end
  local holds = true
  if expected == '-1' then holds = actual == nil
  elseif expected == '-2' then holds = actual ~= nil
  elseif expected ~= '' then holds = actual == tonumber(expected) end
  if not holds then return {'conflict', string.format('%.0f', actual or -1)} end
  if actual then
    events = redis.call('ZCARD', index)
    -- The first write: it is allowed where memory is full, and so is what follows it.
    redis.call('RENAME', index, gone)
    redis.call('SADD', deleting, name)
  else
    -- Something is written, so that whoever waits for this connection's writes to be synced waits for an earlier
    -- deletion.
    redis.call('HINCRBY', meta, 'repeated', 1)
  end
end

local places = redis.call('ZRANGE', gone, 0, most - 1)
for _, place in ipairs(places) do
  local ms, sequence = tonumber(string.sub(place, 1, 12), 16), tonumber(string.sub(place, 13), 16)
  redis.call('XDEL', log, string.format('%.0f-%.0f', ms, sequence))
end
if #places > 0 then redis.call('ZREMRANGEBYRANK', gone, 0, #places - 1) end
local left = redis.call('EXISTS', gone)
if left == 0 then redis.call('SREM', deleting, name) end
return {outcome, events, left}
