-- The counts of all replicas in Redis: hold, extend, settle and levels, each one atomic step.
-- windows.py and ring.py do the same in one process; tests/edge/limits/test_equal.py holds both to the same answers.
--
-- KEYS  1 the clock, 2 the hold's record (levels: the clock again), 3.. one hash per count: bucket number -> amount
-- ARGV  1 the operation, 2 the time in milliseconds ("" = this server's clock; tests pass it), 3 whole numbers:
--         hold: requests input output least gpu_ms | extend: tokens | settle: requests (-1 = as held) input output gpu_ms
--         then how many counts, for each: meter, milliseconds of a bucket, buckets of the window
--         then for each bound: which count, most, 1 if it is a shadow
-- Reply hold: 1, granted, for each bound: used, empty in, 1 if it would have refused
--             0, which bound (from 0), wait or -1, used, empty in        or  -1: this hold was settled already
--       extend: granted | settle: 1, or 0 if it was settled already | levels: for each bound: used, empty in
--       Times are in milliseconds.
--
-- Only whole numbers below 2^53, on which Lua's doubles are exact: no amount or bound is above LARGEST.
local LARGEST = 10000000000000
local LIFE = 86400000      -- of a hold that nobody touches
local GRACE = 60000        -- keys outlive what they mean by this; settled holds are remembered for it
local MARKS = 64
local REQUESTS, INPUT, OUTPUT, TOKENS, GPU = 0, 1, 2, 3, 4

local numbers, cursor = {}, 0
for text in string.gmatch(ARGV[3], "%-?%d+") do numbers[#numbers + 1] = tonumber(text) end
local function take()
  cursor = cursor + 1
  return numbers[cursor]
end

local function bucket(at, step) return (at - at % step) / step end

local asked = {}
local arity = { hold = 5, extend = 1, settle = 4, levels = 0 }
for i = 1, arity[ARGV[1]] do asked[i] = take() end
local now = forward()

local function load(key)
  local ring = { key = key, slot = take(), step = take(), span = take(), total = 0, buckets = {} }
  local first = bucket(now, ring.step) - ring.span
  local flat, gone = redis.call("HGETALL", key), {}
  for i = 1, #flat, 2 do
    local number = tonumber(flat[i])
    if number < first then
      gone[#gone + 1] = flat[i]
    else
      ring.buckets[number] = tonumber(flat[i + 1])
      ring.total = ring.total + ring.buckets[number]
    end
  end
  if #gone > 0 then redis.call("HDEL", key, unpack(gone)) end
  return ring
end

local rings, bounds = {}, {}
for i = 1, take() do rings[i] = load(KEYS[2 + i]) end
while cursor < #numbers do
  bounds[#bounds + 1] = { ring = rings[take()], most = take(), shadow = take() == 1 }
end

local function life(ring) return (ring.span + 1) * ring.step end

local function add(ring, at, amount)
  local number = bucket(at, ring.step)
  if number < bucket(now, ring.step) - ring.span then return end
  local old = ring.buckets[number] or 0
  local new = math.min(math.max(old + amount, 0), LARGEST)
  ring.total = ring.total + new - old
  if new > 0 then
    ring.buckets[number] = new
    redis.call("HSET", ring.key, text(number), text(new))
    redis.call("PEXPIRE", ring.key, text(life(ring) + GRACE))
  elseif old > 0 then
    ring.buckets[number] = nil
    redis.call("HDEL", ring.key, text(number))
  end
end

local function empty_in(ring)
  if ring.total == 0 then return 0 end
  local newest = 0
  for number in pairs(ring.buckets) do newest = math.max(newest, number) end
  return newest * ring.step + life(ring) - now
end

local function room_in(ring, amount)
  local order, freed = {}, 0
  for number in pairs(ring.buckets) do order[#order + 1] = number end
  table.sort(order)
  for _, number in ipairs(order) do
    freed = freed + ring.buckets[number]
    if freed >= amount then return number * ring.step + life(ring) - now end
  end
  return empty_in(ring)
end

-- The record of a hold: touched requests input gpu_ms output, then a pair for each mark: at, output.
local function recall()
  local stored = redis.call("GET", KEYS[2])
  if not stored then return nil, false end
  local record = {}
  for part in string.gmatch(stored, "%d+") do record[#record + 1] = tonumber(part) end
  if #record == 0 or record[1] + LIFE < now then return nil, true end
  return record, true
end

local function remember(record)
  while #record > 5 + 2 * (MARKS + 1) do
    table.remove(record, 8)
    table.remove(record, 8)
  end
  local parts = {}
  for i, number in ipairs(record) do parts[i] = text(number) end
  redis.call("SET", KEYS[2], table.concat(parts, " "), "PX", text(LIFE + GRACE))
end

local function over(refusing, needs)
  local worst, longest
  for _, bound in ipairs(refusing) do
    local need, wait = needs[bound.ring.slot], -1
    if bound.most > 0 and need <= bound.most then
      wait = room_in(bound.ring, bound.ring.total + need - bound.most)
    end
    if not worst or (longest >= 0 and (wait < 0 or wait > longest)) then worst, longest = bound, wait end
  end
  return { 0, worst.place, longest, worst.ring.total, empty_in(worst.ring) }
end

local operations = {}

function operations.hold()
  if redis.call("EXISTS", KEYS[2]) == 1 then return { -1 } end
  local requests, input, output, least, gpu = unpack(asked)
  local needs = { [REQUESTS] = requests, [INPUT] = input, [OUTPUT] = least, [TOKENS] = input + least, [GPU] = gpu }
  local granted, refusing = output, {}
  for place, bound in ipairs(bounds) do
    local slot = bound.ring.slot
    local room, need = bound.most - bound.ring.total, needs[slot]
    bound.place = place - 1
    bound.refuses = (need > room and need > 0) or bound.most == 0
    if bound.refuses then
      if not bound.shadow then refusing[#refusing + 1] = bound end
    elseif not bound.shadow then
      if slot == OUTPUT then granted = math.min(granted, room) end
      if slot == TOKENS then granted = math.min(granted, room - input) end
    end
  end
  if #refusing > 0 then return over(refusing, needs) end
  granted = math.max(granted, 0)
  local amounts = { [REQUESTS] = requests, [INPUT] = input, [OUTPUT] = granted, [TOKENS] = input + granted, [GPU] = gpu }
  for _, ring in ipairs(rings) do
    if amounts[ring.slot] > 0 then add(ring, now, amounts[ring.slot]) end
  end
  remember({ now, requests, input, gpu, granted, now, granted })
  local reply = { 1, granted }
  for _, bound in ipairs(bounds) do
    reply[#reply + 1] = bound.ring.total
    reply[#reply + 1] = empty_in(bound.ring)
    reply[#reply + 1] = bound.refuses and 1 or 0
  end
  return reply
end

-- A hold that is not known was lost with a restart of this server: its request goes on with an empty one.
function operations.extend()
  local record, known = recall()
  if known and not record then return { 0 } end
  record = record or { now, 0, 0, 0, 0, now, 0 }
  local granted = asked[1]
  for _, bound in ipairs(bounds) do
    local slot = bound.ring.slot
    if (slot == OUTPUT or slot == TOKENS) and not bound.shadow then
      granted = math.min(granted, bound.most - bound.ring.total)
    end
  end
  granted = math.max(granted, 0)
  record[1] = now
  if granted > 0 then
    for _, ring in ipairs(rings) do
      if ring.slot == OUTPUT or ring.slot == TOKENS then add(ring, now, granted) end
    end
    record[5] = record[5] + granted
    record[#record + 1] = now
    record[#record + 1] = granted
  end
  remember(record)
  return { granted }
end

function operations.settle()
  local record = recall()
  redis.call("SET", KEYS[2], "", "PX", text(GRACE))
  if not record then return { 0 } end
  local requests, input, output, gpu = unpack(asked)
  requests = requests < 0 and 0 or requests - record[2]
  input, gpu = input - record[3], gpu - record[4]
  local rest, parts = output - record[5], {}
  for i = #record - 1, 6, -2 do -- unused is taken from the latest mark first; over-use goes to the latest
    parts[i] = math.max(rest, -record[i + 1])
    rest = rest - parts[i]
  end
  local first = parts[6]
  local changes = { [REQUESTS] = requests, [INPUT] = input, [OUTPUT] = first, [TOKENS] = input + first, [GPU] = gpu }
  for _, ring in ipairs(rings) do
    if changes[ring.slot] ~= 0 then add(ring, record[6], changes[ring.slot]) end
    if ring.slot == OUTPUT or ring.slot == TOKENS then
      for i = 8, #record - 1, 2 do
        if parts[i] ~= 0 then add(ring, record[i], parts[i]) end
      end
    end
  end
  return { 1 }
end

function operations.levels()
  local reply = {}
  for _, bound in ipairs(bounds) do
    reply[#reply + 1] = bound.ring.total
    reply[#reply + 1] = empty_in(bound.ring)
  end
  return reply
end

return operations[ARGV[1]]()
