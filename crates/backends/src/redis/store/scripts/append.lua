-- Appends a batch if its condition holds, or finds where it stands.
-- KEYS: meta, log, next, ids, batches, then the index of each stream that is named.
-- ARGV, each list preceded by its length: version; a position to stay behind, in two parts; names of the streams;
-- identities of the events; conditions, each an index into the names and what is expected there (-1: no stream, -2:
-- exists, or the revision); the position from which on nothing may match, or '', then streams, kinds and subjects that
-- match, and how many events to look at; how many events, then of each an index into the names, the number of texts,
-- and that many fields and values.
-- Returns what has come of it, and where.
local meta, log, next_revision, ids, batches = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local INDEXES = 5
-- Of what Lua hands to one command at a time.
local PART = 1000
-- A place in an index has so many digits for the second part of a position.
local SEQUENCE_MAX = 0xffffffff

local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_list()
  local list = {}
  for i = 1, tonumber(take()) do list[i] = take() end
  return list
end
local function whole(number) return string.format('%.0f', number) end

local version = take()
local found = redis.call('HMGET', meta, 'version', 'head', 'remembers')
if found[1] ~= version then return {'layout', found[1] or ''} end
local head, remembers = found[2], tonumber(found[3])
local last_ms, last_sequence = string.match(head, '(%d+)-(%d+)')
last_ms, last_sequence = tonumber(last_ms), tonumber(last_sequence)
local floor_ms, floor_sequence = tonumber(take()), tonumber(take())
local names, batch = take_list(), take_list()

-- A batch that is there is found whatever the condition says by now.
for from = 1, #batch, PART do
  local known = redis.call('HMGET', ids, unpack(batch, from, math.min(from + PART - 1, #batch)))
  for i = 1, #known do
    if known[i] then
      local fields = redis.call('XRANGE', batches, known[i], known[i])[1][2]
      if fields[2] ~= table.concat(batch) then return {'other'} end
      -- Something is written, so that whoever waits for this connection's writes to be synced waits for the batch.
      local touched = redis.pcall('HINCRBY', meta, 'repeated', 1)
      return {'duplicate', known[i], fields[4], type(touched) == 'number' and '1' or '0'}
    end
  end
end

local function newest(stream)
  if redis.call('EXISTS', KEYS[INDEXES + stream]) == 0 then return nil end
  return tonumber(redis.call('HGET', next_revision, names[stream])) - 1
end
for _ = 1, tonumber(take()) do
  local stream, expected = tonumber(take()), tonumber(take())
  local actual = newest(stream)
  local holds
  if expected == -1 then holds = actual == nil
  elseif expected == -2 then holds = actual ~= nil
  else holds = actual == expected end
  if not holds then return {'conflict', names[stream], whole(actual or -1)} end
end

local after = take()
if after ~= '' then
  local function any_of(list)
    if #list == 0 then return function() return true end end
    local set = {}
    for _, value in ipairs(list) do set[value] = true end
    return function(value) return value and set[value] end
  end
  local streams, kinds, subjects = any_of(take_list()), any_of(take_list()), any_of(take_list())
  local most = tonumber(take())
  local later = redis.call('XRANGE', log, after, '+', 'COUNT', most + 1)
  -- Too many to look at while everybody waits: the caller looks at them and asks again.
  if #later > most then return {'behind'} end
  for _, entry in ipairs(later) do
    local event = {}
    for i = 1, #entry[2], 2 do event[entry[2][i]] = entry[2][i + 1] end
    if streams(event['stream']) and kinds(event['kind']) and subjects(event['subject']) then
      return {'conflict', '', '-1'}
    end
  end
end

-- Positions ascend by the clock, and where that stands still or goes back, all the same: what a server has lost is
-- never stood in for by something else at the same place.
if floor_ms > last_ms or (floor_ms == last_ms and floor_sequence > last_sequence) then
  last_ms, last_sequence = floor_ms, floor_sequence
end
local time = redis.call('TIME')
local ms, sequence = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), 0
if ms <= last_ms then ms, sequence = last_ms, last_sequence + 1 end
if sequence + #batch > SEQUENCE_MAX then ms, sequence = ms + 1, 0 end

local revisions, id, revision = {}, nil, nil
for _ = 1, tonumber(take()) do
  local stream, texts = tonumber(take()), tonumber(take())
  revision = revisions[stream] or tonumber(redis.call('HGET', next_revision, names[stream]) or 0)
  id = whole(ms) .. '-' .. whole(sequence)
  local entry = {log, id, 'stream', names[stream], 'revision', whole(revision)}
  for _ = 1, texts do entry[#entry + 1] = take() end
  -- The first write: where memory is full, it is refused with nothing done.
  redis.call('XADD', unpack(entry))
  redis.call('ZADD', KEYS[INDEXES + stream], 0, string.format('%012x%08x', ms, sequence))
  revisions[stream] = revision + 1
  sequence = sequence + 1
end
for stream, revision_after in pairs(revisions) do
  redis.call('HSET', next_revision, names[stream], whole(revision_after))
end
redis.call('HSET', meta, 'head', id)

redis.call('XADD', batches, id, 'ids', table.concat(batch), 'revision', whole(revision))
for _, event in ipairs(batch) do redis.call('HSET', ids, event, id) end
local known = redis.call('HINCRBY', meta, 'known', #batch)
while known > remembers do
  local oldest = redis.call('XRANGE', batches, '-', '+', 'COUNT', 1)[1]
  local texts = oldest[2][2]
  local count = #texts / #batch[1]
  if known - count < remembers then break end
  for from = 1, count, PART do
    local gone = {}
    for i = from, math.min(from + PART - 1, count) do
      gone[#gone + 1] = string.sub(texts, (i - 1) * #batch[1] + 1, i * #batch[1])
    end
    redis.call('HDEL', ids, unpack(gone))
  end
  redis.call('XDEL', batches, oldest[1])
  known = redis.call('HINCRBY', meta, 'known', -count)
end
return {'appended', id, whole(revision)}
