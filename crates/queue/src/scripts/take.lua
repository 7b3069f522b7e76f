-- Shared head of the scripts that move an entry elsewhere: removes it if this consumer still
-- holds it. The removal goes first: after it Redis lets the rest pass even when out of memory.
-- Returns envelope, attempts spent, runs, deliveries; or nothing when it is not held any more.
local function take(stream, group, consumer, id)
  local held = redis.call('XPENDING', stream, group, id, id, 1, consumer)[1]
  if not held then
    return nil
  end
  local entry = redis.call('XRANGE', stream, id, id)[1]
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
  if not entry then
    return nil
  end
  local fields = {}
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  local job = fields['job'] or cjson.encode(entry[2])
  return job, tonumber(fields['spent']) or 0, tonumber(fields['runs']) or 0, held[4]
end
