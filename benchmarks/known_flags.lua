-- Ask for all flags of the same 10,000 devices again and again.
local flags = dofile("benchmarks/flags.lua")
local n = 0
request = function()
  n = (n + 1) % 10000
  return flags(string.format("known-%030d", n), n)
end
