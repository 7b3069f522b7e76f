-- Puts a running entry off until later.
-- KEYS: stream, delayed. ARGV: group, consumer, entry, due in ms, attempts spent, runs.
local job = take(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not job then
  return 0
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5] .. '|' .. ARGV[6] .. '|' .. job)
return 1
