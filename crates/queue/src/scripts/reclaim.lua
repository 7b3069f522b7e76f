-- Takes over entries whose worker has been silent too long. Not XAUTOCLAIM, because that does
-- not tell how often an entry was delivered, which is how often its worker died.
-- KEYS: stream. ARGV: group, consumer, silence in ms, count.
-- Returns a list of {entry, deliveries with this one, fields}.
local claimed = {}
local silent = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])
for _, held in ipairs(silent) do
  local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], held[1])[1]
  if entry then
    claimed[#claimed + 1] = {held[1], held[4] + 1, entry[2]}
  else
    -- Deleted from the stream while it was held: nothing is left to do.
    redis.call('XACK', KEYS[1], ARGV[1], held[1])
  end
end
return claimed
