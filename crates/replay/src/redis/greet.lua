-- Reads the epoch, and begins a new one where the memory before may be incomplete. One call, one moment.
-- KEYS: 1 state
-- ARGV: 1 now at the node, 2 furthest ahead, 3 greatest age, 4 identifier and 5 nonce key for a new epoch,
--       6 clock difference allowed, 7 the epoch to be ended, or empty
local function info(section, name)
  return string.match(redis.call('INFO', section), name .. ':([^\r\n]*)') or ''
end
local role, policy = info('replication', 'role'), info('memory', 'maxmemory_policy')
if role ~= 'master' or policy ~= 'noeviction' then return {-1, role, policy} end
-- Which memory this is: another process, or one that was a replica meanwhile, may have lost its last writes.
local run = info('server', 'run_id') .. info('replication', 'master_replid')
local server = tonumber(redis.call('TIME')[1])
local now, ahead, age = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local s = redis.call('HMGET', KEYS[1], 'id', 'floor', 'key', 'run', 'off', 'last', 'hi', 'ahead', 'age')
if s[1] then
  local off, last, hi = tonumber(s[5]), tonumber(s[6]), tonumber(s[7])
  local same = s[4] == run and s[1] ~= ARGV[7] and server + 1 >= last
  if same and tonumber(s[8]) >= ahead and tonumber(s[9]) >= age then
    return {0, s[1], tonumber(s[2]), s[3], server, run}
  end
  ahead, age = math.max(ahead, tonumber(s[8])), math.max(age, tonumber(s[9]))
  now = math.max(now, hi, math.max(server, last) + off)
end
local floor = now + ahead + tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'id', ARGV[4], 'floor', floor, 'key', ARGV[5], 'run', run, 'off', tonumber(ARGV[1]) - server,
  'last', server, 'hi', now, 'ahead', ahead, 'age', age)
return {1, ARGV[4], floor, ARGV[5], server, run}
