-- Judges and records one entry. Time is the server's own, moved by what its clock differs from the nodes' ('off').
-- KEYS: 1 state, 2 entry, 3 the party's count, if it has a quota
-- ARGV: 1 now at the node, 2 iat, 3 not_after, 4 epoch of the proof's nonce, 5 the memory that the node greeted,
--       6 clock difference allowed, 7 longest time to live, 8 quota
local s = redis.call('HMGET', KEYS[1], 'id', 'floor', 'run', 'off', 'last', 'hi', 'age')
local server = tonumber(redis.call('TIME')[1])
if not s[1] or s[3] ~= ARGV[5] or server + 1 < tonumber(s[5]) then return {3} end
local now, iat, not_after, allowed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6])
local last = tonumber(s[5])
local time = math.max(server, last) + tonumber(s[4])
-- A record of this entry may have been dropped already: node and memory disagree about the time.
if not_after + allowed < time then return {4, s[1]} end
if iat <= tonumber(s[2]) and ARGV[4] ~= s[1] then return {2} end
local live = math.max(not_after, iat + tonumber(s[7])) + allowed + 2 - time
if live > tonumber(ARGV[7]) then return {6} end
local quota = tonumber(ARGV[8])
if quota and tonumber(redis.call('GET', KEYS[3]) or 0) >= quota then
  return {redis.call('EXISTS', KEYS[2]) == 1 and 0 or 5}
end
if not redis.call('SET', KEYS[2], 1, 'NX', 'EX', live) then return {0} end
if quota and redis.call('INCR', KEYS[3]) == 1 then redis.call('EXPIRE', KEYS[3], live) end
if server > last then redis.call('HSET', KEYS[1], 'last', server) end
if now > tonumber(s[6]) then redis.call('HSET', KEYS[1], 'hi', now) end
return {1}
