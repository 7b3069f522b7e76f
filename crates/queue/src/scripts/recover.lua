-- Takes up again what this consumer was given over a connection that broke before the answer came.
-- To be given it anew is no further delivery: nobody has worked on it.
-- KEYS: stream. ARGV: group, consumer, count, entries that it does hold...
-- Returns a list of {entry, deliveries, fields}.
local known, recovered = {}, {}
for i = 4, #ARGV do
  known[ARGV[i]] = true
end
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[3], ARGV[2])) do
  if not known[held[1]] then
    local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, held[1], 'RETRYCOUNT', held[4])[1]
    if entry then
      recovered[#recovered + 1] = {held[1], held[4], entry[2]}
    end
  end
end
return recovered
