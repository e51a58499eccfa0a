-- Every request is from a new device with five attributes.
local query = dofile("benchmarks/attributes.lua")
local n = 0
function init(args) run = args[1] end
request = function()
  n = n + 1
  local token = string.format("%08s-attributes-%017d", run, n)
  return wrk.format("GET", "/api/v1/experiments" .. query(n), {["Device-Token"] = token})
end
