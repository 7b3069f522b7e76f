-- Takes a lease if nobody holds it, with a fencing token above every earlier one: the clock keeps
-- it growing even when the counter was lost. An owner that asks again (because it did not hear
-- the answer) is given it again. Returns the token, or 0 if somebody else holds it, or -1 if nobody
-- does only because everything was forgotten, the counter too, and the caller has seen a holder lately.
-- KEYS: lease, fence. ARGV: owner, lifetime in ms, 1 if a holder was seen within that.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
if not owner and ARGV[3] == '1' and redis.call('EXISTS', KEYS[2]) == 0 then
  return -1
end
-- The removal goes first: after it Redis lets the rest pass even when out of memory, so that a bot that died
-- is replaced on that day too.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local fence = math.max(now, tonumber(redis.call('GET', KEYS[2]) or 0) + 1)
redis.call('SET', KEYS[2], string.format('%.0f', fence))
return fence
