-- wrk's script: requests of 4,000 users in turn; the summary goes to stderr as one line of JSON.
-- An argument is the mean think time in milliseconds: without one, each answer is followed by a request at once.

local USERS = 4000
local requests, current = {}, 0

function init(args)
  for user = 1, USERS do
    requests[user] = wrk.format("GET", "/recommend?item=7", { ["x-user-id"] = "user-" .. user })
  end
  local think = tonumber(args[1])
  if think then
    math.randomseed(1)
    -- Uniform from 0 to twice the mean: connections that think alike would come in bursts.
    delay = function() return math.random(0, 2 * think) end
  end
end

function request()
  current = current % USERS + 1
  return requests[current]
end

function done(summary, latency, _)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "broken": %d, "not_2xx": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout, e.status
  ))
end
