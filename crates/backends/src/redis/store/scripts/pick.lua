-- Reads events of streams, by their indexes. KEYS: log, then the index of each stream.
-- ARGV: first and last place, 1 to read backward, how many at most.
-- Returns their entries.
local first, last, backward, most = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local places = {}
for i = 2, #KEYS do
  local found
  if backward then
    found = redis.call('ZREVRANGEBYLEX', KEYS[i], '[' .. last, '[' .. first, 'LIMIT', 0, most)
  else
    found = redis.call('ZRANGEBYLEX', KEYS[i], '[' .. first, '[' .. last, 'LIMIT', 0, most)
  end
  for _, place in ipairs(found) do places[#places + 1] = place end
end
if #KEYS > 2 then
  table.sort(places, function(a, b) if backward then return a > b else return a < b end end)
end
local entries = {}
for i = 1, math.min(most, #places) do
  local ms, sequence = tonumber(string.sub(places[i], 1, 12), 16), tonumber(string.sub(places[i], 13), 16)
  local id = string.format('%.0f-%.0f', ms, sequence)
  entries[#entries + 1] = redis.call('XRANGE', KEYS[1], id, id)[1]
end
return entries
