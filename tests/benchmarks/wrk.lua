-- Sends the requests of a file, which are apart by a NUL, and tells as JSON what came of them.
local requests, place = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for each in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = each
  end
  file:close()
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local line = '{"count": %d, "seconds": %f, "p50": %f, "p99": %f, "refused": %d, "broken": %d}\n'
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  io.write(line:format(summary.requests, summary.duration / 1e6, p50, p99, errors.status, broken))
end
