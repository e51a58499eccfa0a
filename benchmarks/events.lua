-- Each request has twenty events of a known device, with ids that were never used before.
local n = 0
function init(args) run = args[1] end
request = function()
  n = n + 1
  local events = {}
  for i = 1, 20 do
    events[i] = string.format('{"id":"%s-%d-%d","name":"purchase","amount":"9.99"}', run, n, i)
  end
  return wrk.format("POST", "/api/v1/events", {
    ["Device-Token"] = string.format("known-%030d", n % 10000),
    ["Content-Type"] = "application/json",
  }, '{"events":[' .. table.concat(events, ",") .. "]}")
end
