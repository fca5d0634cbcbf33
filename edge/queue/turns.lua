-- The turns of one engine, shared by several gateways. Who goes next is said by the bids; here it is only counted.
--
-- KEYS  1 the clock (clock.lua), 2 the leases: hash, lease -> "runs out at, loads (1 or 0), model",
--       3 the bids: hash, bidder -> "runs out at, band, kind, service, since", 4 the loaded models: sorted set, last used
-- ARGV  1 operation, 2 the time in milliseconds ("" = this server's clock), 3 how long a lease lives,
--       4 a channel, 5 what to say there ("" = nothing), then
--       bid: the bidder, how long the bid lives, the lease it wants, slots, models that fit ("" = the engine never
--            swaps), band, kind (0 = nobody behind it goes before), service, milliseconds waited, 1 if it loads,
--            the model, the models that make room for it
--       look: the bidder, which bids no more, 1 if the engine swaps
--       renew: for each lease: itself, 1 if it loads, the model ("" = the engine never swaps)
--       release: for each lease: itself, 1 if the engine answered
--       tell: nothing
-- Reply bid, look: 1 if the lease is taken, leases taken in all, leases of others, for each of these its "loads
--            model", for each loaded model: itself, milliseconds since it was used
--       else: 0
local now = forward()
local operation, life = ARGV[1], tonumber(ARGV[3])
local LOADED = 600000 -- forgotten for good; the gateways take a model for unloaded before that

local function put(lease, loads, model)
  redis.call("HSET", KEYS[2], lease, text(now + life) .. " " .. loads .. " " .. model)
  redis.call("PEXPIRE", KEYS[2], text(2 * life)) -- nobody renews: the whole hash goes
end

local function used(model)
  redis.call("ZADD", KEYS[4], text(now), model)
  redis.call("PEXPIRE", KEYS[4], LOADED)
end

-- What is in a hash, without what has run out. In order of names: a script's effects must not depend on a hash's.
local function living(key)
  local there, found = redis.call("HGETALL", key), {}
  for i = 1, #there, 2 do
    local ends, rest = string.match(there[i + 1], "^(%d+) (.*)$")
    if tonumber(ends) <= now then redis.call("HDEL", key, there[i])
    else found[#found + 1] = { there[i], rest } end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  return found
end

local function rank(bid, name)
  local band, kind, service, since = string.match(bid, "^(%S+) (%S+) (%S+) (%S+)$")
  return { tonumber(band), tonumber(kind), tonumber(service), tonumber(since), name }
end

local function before(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end

local function seen(granted, taken, elsewhere, swaps)
  local reply = { granted, taken, #elsewhere }
  for _, other in ipairs(elsewhere) do reply[#reply + 1] = other end
  if swaps then
    local loaded = redis.call("ZRANGE", KEYS[4], 0, -1, "WITHSCORES")
    for i = 1, #loaded, 2 do
      reply[#reply + 1] = loaded[i]
      reply[#reply + 1] = text(math.max(now - tonumber(loaded[i + 1]), 0))
    end
  end
  return reply
end

-- What the leases of others are for.
local function of_others(leases, bidder)
  local found = {}
  for _, other in ipairs(leases) do
    if string.sub(other[1], 1, #bidder + 1) ~= bidder .. "-" then found[#found + 1] = other[2] end
  end
  return found
end

local function bid()
  local bidder, lease, slots, most = ARGV[6], ARGV[8], tonumber(ARGV[9]), ARGV[10]
  local loads, model = ARGV[15], ARGV[16]
  local mine = ARGV[11] .. " " .. ARGV[12] .. " " .. ARGV[13] .. " " .. text(now - tonumber(ARGV[14]))
  redis.call("HSET", KEYS[3], bidder, text(now + tonumber(ARGV[7])) .. " " .. mine)
  redis.call("PEXPIRE", KEYS[3], ARGV[7])

  local ahead, blocked, first = 0, false, rank(mine, bidder)
  for _, other in ipairs(living(KEYS[3])) do
    if other[1] ~= bidder then
      local theirs = rank(other[2], other[1])
      if before(theirs, rank(mine, bidder)) then
        ahead = ahead + 1
        blocked = blocked or theirs[2] == 0
      end
      if before(theirs, first) then first = theirs end
    end
  end

  local leases = living(KEYS[2])
  local answering, different, loading = {}, 0, nil
  for _, other in ipairs(leases) do
    local its_loads, its_model = string.match(other[2], "^(%d) (.*)$")
    if its_loads == "1" then loading = its_model end
    if not answering[its_model] then different = different + 1 end
    answering[its_model] = true
  end

  local fits = true
  if most ~= "" then
    if loads == "1" then fits = not loading and not answering[model] and different < tonumber(most)
    elseif answering[model] then fits = loading ~= model
    else fits = redis.call("ZSCORE", KEYS[4], model) and different < tonumber(most) end
  end

  local granted, taken = 0, #leases
  if taken + ahead < slots and not blocked and fits then
    granted, taken = 1, taken + 1
    redis.call("HDEL", KEYS[3], bidder)
    put(lease, loads, most == "" and "" or model)
    if most ~= "" then
      if loads == "1" then
        for i = 16, #ARGV do redis.call("ZREM", KEYS[4], ARGV[i]) end
      else used(model) end
    end
  elseif taken < slots and first[5] ~= bidder then
    -- It bid before this one, which has become worse since, and was told to wait: it may go now.
    redis.call("PUBLISH", ARGV[4], "!" .. first[5])
  end
  return seen(granted, taken, of_others(leases, bidder), most ~= "")
end

local function look(bidder)
  redis.call("HDEL", KEYS[3], bidder)
  local leases = living(KEYS[2])
  return seen(0, #leases, of_others(leases, bidder), ARGV[7] == "1")
end

local function release(lease, served)
  local there = redis.call("HGET", KEYS[2], lease)
  if not there then return end
  redis.call("HDEL", KEYS[2], lease)
  local loads, model = string.match(there, "^%d+ (%d) (.*)$")
  -- one that loaded and did not get an answer: the model is not there
  if model ~= "" and (loads == "0" or served == "1") then used(model) end
end

local reply = { 0 }
if operation == "bid" then
  reply = bid()
elseif operation == "look" then
  reply = look(ARGV[6])
elseif operation == "renew" then
  for i = 6, #ARGV, 3 do
    put(ARGV[i], ARGV[i + 1], ARGV[i + 2])
    if ARGV[i + 1] == "0" and ARGV[i + 2] ~= "" then used(ARGV[i + 2]) end
  end
elseif operation == "release" then
  for i = 6, #ARGV, 2 do release(ARGV[i], ARGV[i + 1]) end
end
if ARGV[5] ~= "" then redis.call("PUBLISH", ARGV[4], ARGV[5]) end
return reply
