-- Moves a running entry to the dead jobs, the oldest of which are dropped beyond the cap.
-- KEYS: stream, dead. ARGV: group, consumer, entry, now in ms, attempts spent, runs, reason, cap.
local job = take(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not job then
  return 0
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], '*', 'job', job,
  'spent', ARGV[5], 'runs', ARGV[6], 'died_at', ARGV[4], 'reason', ARGV[7])
return 1
