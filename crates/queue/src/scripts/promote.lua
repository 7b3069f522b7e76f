-- Moves due jobs to the stream: up to `limit` or about `limit_bytes`, not past `high_water` waiting
-- ones so that fresh jobs need not queue behind a burst of due ones, but always at least one.
-- KEYS: stream, delayed. ARGV: now in ms, limit, high_water, limit_bytes.
-- Returns {moved, next due in ms or ''}.
local room = math.max(1, math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - redis.call('XLEN', KEYS[1])))
local moved, bytes, found = 0, 0, true
while found and moved < room and bytes < tonumber(ARGV[4]) do
  -- A few at a time: together they may be large, and Lua holds them all.
  local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, math.min(room - moved, 20))
  for _, member in ipairs(due) do
    -- The removal goes first: after it Redis lets the rest pass even when it is out of memory.
    redis.call('ZREM', KEYS[2], member)
    local spent, runs, job = string.match(member, '^(%d+)|(%d+)|(.*)$')
    redis.call('XADD', KEYS[1], '*', 'job', job or member, 'spent', spent or 0, 'runs', runs or 0)
    bytes = bytes + #member
  end
  moved, found = moved + #due, #due > 0
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {moved, first[2] or ''}
