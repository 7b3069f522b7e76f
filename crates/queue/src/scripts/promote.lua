-- Moves due jobs to the stream: up to `limit`, not past `high_water` waiting ones so that fresh
-- jobs need not queue behind a burst of due ones, but always at least one.
-- KEYS: stream, delayed. ARGV: now in ms, limit, high_water. Returns {moved, next due in ms or ''}.
local room = math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - redis.call('XLEN', KEYS[1]))
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, math.max(room, 1))
for _, member in ipairs(due) do
  -- The removal goes first: after it Redis lets the rest pass even when it is out of memory.
  redis.call('ZREM', KEYS[2], member)
  local spent, runs, job = string.match(member, '^(%d+)|(%d+)|(.*)$')
  redis.call('XADD', KEYS[1], '*', 'job', job or member, 'spent', spent or 0, 'runs', runs or 0)
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {#due, first[2] or ''}
