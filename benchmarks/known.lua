-- Ask for the same 10,000 devices again and again.
local n = 0
request = function()
  n = (n + 1) % 10000
  return wrk.format("GET", "/api/v1/experiments", {["Device-Token"] = string.format("known-%030d", n)})
end
