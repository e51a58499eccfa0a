-- The query of a device with five attributes. It has some thousands of combinations, as in real life.
local platforms = {"ios", "android"}
local countries = {"DE", "FR", "US", "BR", "JP", "IN", "GB", "PL", "ES", "IT"}
local languages = {"de", "en", "fr"}
return function(n)
  return string.format("?platform=%s&app_version=3.%d.0&os_version=%d.2&country=%s&language=%s",
    platforms[n % 2 + 1], n % 20, 13 + n % 5, countries[n * 7 % 10 + 1], languages[n * 5 % 3 + 1])
end
