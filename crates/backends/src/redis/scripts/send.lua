-- Appends events in order until one does not fit; returns how many were taken.
-- KEYS: the stream of each shard. ARGV: length_max, forget (1 or 0), prefix of remembered ids, how long they are
-- remembered in ms, then for each event: index into KEYS, id, number of texts, that many names and values.
local length_max, forget = tonumber(ARGV[1]), ARGV[2] == '1'
local prefix, remember = ARGV[3], tonumber(ARGV[4])

local function before(a, b)
  local am, as = string.match(a, '(%d+)-(%d+)')
  local bm, bs = string.match(b, '(%d+)-(%d+)')
  am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
  return am < bm or (am == bm and as < bs)
end

-- Deletes what every group has handled; returns the length then.
local function trim(key)
  local floor
  for _, answer in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = {}
    for i = 1, #answer, 2 do group[answer[i]] = answer[i + 1] end
    local from
    if group['pending'] > 0 then
      from = redis.call('XPENDING', key, group['name'])[2]
    else
      local ms, seq = string.match(group['last-delivered-id'], '(%d+)-(%d+)')
      from = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
    end
    if not floor or before(from, floor) then floor = from end
  end
  if floor then redis.call('XTRIM', key, 'MINID', floor) end
  return redis.call('XLEN', key)
end

local lengths, trimmed = {}, {}
local taken, i = 0, 5
while i <= #ARGV do
  local shard, id, texts = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local key = KEYS[shard]
  if not forget then
    lengths[shard] = lengths[shard] or redis.call('XLEN', key)
    if lengths[shard] >= length_max and not trimmed[shard] and lengths[shard] > 0 then
      trimmed[shard] = true
      lengths[shard] = trim(key)
    end
    if lengths[shard] >= length_max then return taken end
  end
  if remember > 0 and redis.call('EXISTS', prefix .. id) == 1 then
    -- A write, so that a WAITAOF of this connection waits for those before it, also of a connection that was lost.
    redis.call('PEXPIRE', prefix .. id, remember)
  else
    local add = {key}
    if forget then add = {key, 'MAXLEN', '~', length_max} end
    add[#add + 1] = '*'
    for text = i + 3, i + 2 + texts do add[#add + 1] = ARGV[text] end
    redis.call('XADD', unpack(add))
    -- Remembered after it was added, for what was done before an error stays.
    if remember > 0 then redis.call('SET', prefix .. id, 1, 'PX', remember) end
    if not forget then lengths[shard] = lengths[shard] + 1 end
  end
  taken = taken + 1
  i = i + 3 + texts
end
return taken
