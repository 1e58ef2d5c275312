-- Says what a store is like, and makes what is missing. KEYS: meta. ARGV: version, how many identities to remember.
-- Returns: version, head, how many identities are remembered.
local meta = KEYS[1]
local found = redis.call('HMGET', meta, 'version', 'head', 'remembers')
if not found[1] then
  found = {ARGV[1], '0-0', ARGV[2]}
  redis.call('HSET', meta, 'version', found[1], 'head', found[2], 'remembers', found[3])
elseif found[1] == ARGV[1] and tonumber(found[3]) < tonumber(ARGV[2]) then
  -- Never less: others have declared it.
  found[3] = ARGV[2]
  redis.call('HSET', meta, 'remembers', found[3])
end
return found
