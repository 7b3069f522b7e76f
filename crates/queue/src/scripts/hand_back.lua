-- Offers entries that were not started to the other workers. A delivery before this one was an
-- attempt whose worker died; this one was none.
-- KEYS: stream. ARGV: group, consumer, entries... Returns how many were handed back.
local count = 0
for i = 3, #ARGV do
  local job, spent, runs, deliveries = take(KEYS[1], ARGV[1], ARGV[2], ARGV[i])
  if job then
    local lost = deliveries - 1
    redis.call('XADD', KEYS[1], '*', 'job', job, 'spent', spent + lost, 'runs', runs + lost)
    count = count + 1
  end
end
return count
