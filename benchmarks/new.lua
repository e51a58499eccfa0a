-- Every request is from a new device, whose token has 36 characters, as a UUID does.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end
local n = 0
function init(args) run = args[1] end
request = function()
  n = n + 1
  local token = string.format("%08s-%04d-new-%018d", run, id, n)
  return wrk.format("GET", "/api/v1/experiments", {["Device-Token"] = token})
end
