-- A request of an OpenFeature client for all flags of a device, with five attributes.
local platforms = {"ios", "android"}
local countries = {"DE", "FR", "US", "BR", "JP", "IN", "GB", "PL", "ES", "IT"}
local languages = {"de", "en", "fr"}
return function(token, n)
  local body = string.format(
    '{"context":{"targetingKey":"%s","platform":"%s","app_version":"3.%d.0","os_version":"%d.2","country":"%s","language":"%s"}}',
    token, platforms[n % 2 + 1], n % 20, 13 + n % 5, countries[n * 7 % 10 + 1], languages[n * 5 % 3 + 1])
  return wrk.format("POST", "/ofrep/v1/evaluate/flags", {["Content-Type"] = "application/json; charset=utf-8"}, body)
end
