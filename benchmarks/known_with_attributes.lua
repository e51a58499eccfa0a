-- Ask for the same 10,000 devices again and again, each with five attributes.
local query = dofile("benchmarks/attributes.lua")
local n = 0
request = function()
  n = (n + 1) % 10000
  return wrk.format("GET", "/api/v1/experiments" .. query(n), {["Device-Token"] = string.format("known-%030d", n)})
end
