-- In front of every script: KEYS[1] is the clock, ARGV[2] the time in milliseconds ("" = this server's).
local function text(number) return string.format("%.0f", number) end

-- Logical time: moves as far as the server's clock moves forward, stands while that one steps back.
local function forward()
  local logical, wall = string.match(redis.call("GET", KEYS[1]) or "", "^(%d+) (%d+)$")
  local now, seen
  if ARGV[2] ~= "" then
    seen = tonumber(ARGV[2])
    now = math.max(seen, tonumber(logical or 0))
  else
    local time = redis.call("TIME")
    seen = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    now = logical and tonumber(logical) + math.max(seen - tonumber(wall), 0) or seen
  end
  redis.call("SET", KEYS[1], text(now) .. " " .. text(seen))
  return now
end
