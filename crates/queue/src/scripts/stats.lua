-- The state of one queue at one moment.
-- KEYS: stream, delayed, dead. ARGV: group.
-- Returns {entries, held, delayed, dead, age of the oldest entry in ms, earliest due in ms or ''}.
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
local held = 0
if type(pending) == 'table' and not pending.err then
  held = pending[1]
end
local age = 0
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if oldest then
  local time = redis.call('TIME')
  local added = tonumber(string.match(oldest[1], '^(%d+)'))
  age = math.max(0, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - added)
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {redis.call('XLEN', KEYS[1]), held, redis.call('ZCARD', KEYS[2]),
  redis.call('XLEN', KEYS[3]), age, first[2] or ''}
