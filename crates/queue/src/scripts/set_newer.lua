-- Stores a document unless the stored one has a higher version.
-- KEYS: document. ARGV: JSON, its version. 1: stored, 0: older.
local stored = redis.call('GET', KEYS[1])
if stored then
  local readable, document = pcall(cjson.decode, stored)
  local version = readable and type(document) == 'table' and tonumber(document['version'])
  if version and version > tonumber(ARGV[2]) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
