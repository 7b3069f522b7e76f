-- Gives a dead job all its attempts again. KEYS: dead, stream. ARGV: entry. 1: done, 0: not there.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then
  return 0
end
redis.call('XDEL', KEYS[1], ARGV[1])
local fields = {}
for i = 1, #entry[2], 2 do
  fields[entry[2][i]] = entry[2][i + 1]
end
redis.call('XADD', KEYS[2], '*', 'job', fields['job'] or '', 'spent', 0, 'runs', fields['runs'] or 0)
return 1
