-- Adds a job, unless one with the same dedup key was added before. 1: taken, 0: duplicate.
-- KEYS: stream, delayed, [dedup]. ARGV: envelope, due in ms or '', dedup lifetime in ms.
if KEYS[3] and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[3]) then
  return 0
end
if ARGV[2] == '' then
  redis.call('XADD', KEYS[1], '*', 'job', ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[2], '0|0|' .. ARGV[1])
end
return 1
