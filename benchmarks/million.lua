-- Ask once for each of a million known devices, with the tokens that benchmarks/fill.py made.
local n = -1
request = function()
  n = (n + 1) % 1000000
  local scattered = (n * 2654435761) % 4294967296
  local token = string.format("%08x-filled-%020d", scattered, n)
  return wrk.format("GET", "/api/v1/experiments", {["Device-Token"] = token})
end
