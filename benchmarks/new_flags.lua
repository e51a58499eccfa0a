-- Every request is from a new device and asks for all flags.
local flags = dofile("benchmarks/flags.lua")
local n = 0
function init(args) run = args[1] end
request = function()
  n = n + 1
  return flags(string.format("%08s-flags-%022d", run, n), n)
end
