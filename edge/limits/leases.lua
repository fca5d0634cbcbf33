-- Seats in Redis: one sorted set per subject, lease -> the time it runs out.
--
-- KEYS  1 the clock (clock.lua), 2.. the subjects' sets
-- ARGV  1 take | renew | release | count, 2 the time in milliseconds ("" = this server's clock), 3 how long a lease lives, then
--       take: the lease, and for each subject: most, 1 if it is a shadow
--       renew, release: for each subject: the lease
-- Reply take: 1, for each subject: 1 if it would have refused | 0, which subject (from 0), taken
--       renew, release: how many of its seats were there | count: for each subject: taken; changes nothing
local now = forward()
local life, operation = tonumber(ARGV[3]), ARGV[1]

local function put(key, lease)
  redis.call("ZADD", key, text(now + life), lease)
  redis.call("PEXPIRE", key, text(2 * life)) -- nobody renews: the whole set goes
end

if operation == "take" then
  local reply = { 1 }
  for i = 2, #KEYS do
    local most, shadow = tonumber(ARGV[2 * i + 1]), ARGV[2 * i + 2] == "1"
    redis.call("ZREMRANGEBYSCORE", KEYS[i], "-inf", text(now))
    local taken = redis.call("ZCARD", KEYS[i])
    if taken >= most and not shadow then return { 0, i - 2, taken } end
    reply[i] = taken >= most and 1 or 0
  end
  for i = 2, #KEYS do put(KEYS[i], ARGV[4]) end
  return reply
end

if operation == "count" then
  local reply = {}
  for i = 2, #KEYS do reply[i - 1] = redis.call("ZCOUNT", KEYS[i], "(" .. text(now), "+inf") end
  return reply
end

local there = 0
for i = 2, #KEYS do
  local lease = ARGV[2 + i]
  if redis.call("ZSCORE", KEYS[i], lease) then there = there + 1 end
  if operation == "renew" then put(KEYS[i], lease) else redis.call("ZREM", KEYS[i], lease) end
end
return { there }
