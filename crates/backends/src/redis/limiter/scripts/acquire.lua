-- Takes permits of a quota by GCRA, as guard::rate_limit does in one process. The clock is the server's.
--
-- A key holds `AT DEBT INTERVAL`: at AT (microseconds since 1970) the permits that were taken and have not come back
-- were worth DEBT nanoseconds, each of them INTERVAL. Kept as a debt and not as a time to come, the numbers are exact in
-- the doubles of Lua up to a debt of 104 days. A key without debt is not there.
--
-- KEYS: the quota's. ARGV: nanoseconds per permit, nanoseconds of a full burst, the fewest permits that do, the most.
-- Returns: 1, the permits taken, the debt now; or 0, the nanoseconds until the fewest conform, the debt now.
local key = KEYS[1]
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local fewest, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local debt = 0
local kept = redis.call('GET', key)
if kept then
  local at, owed, worth = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if not at then
    return redis.error_reply('NOQUOTA the key holds something else')
  end
  -- A clock that was set back pays nothing back.
  debt = math.max(0, tonumber(owed) - math.max(0, now - tonumber(at)) * 1000)
  if worth ~= ARGV[1] then
    -- The quota has changed: what is used stays used, in permits.
    debt = math.ceil(debt * interval / tonumber(worth))
  end
end
local fit = math.floor((tolerance - debt) / interval)
if fit < fewest then
  return {0, debt + fewest * interval - tolerance, debt}
end
local taken = math.min(most, fit)
if taken > 0 then
  debt = debt + taken * interval
  local value = string.format('%.0f %.0f %s', now, debt, ARGV[1])
  redis.call('SET', key, value, 'PX', string.format('%.0f', math.ceil(debt / 1000000)))
end
return {1, taken, debt}
