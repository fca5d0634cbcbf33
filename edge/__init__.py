"""The door: everything between a caller's socket and the engine's.

listener/    sockets in: limits, deadlines, strict HTTP checks; the only place that knows aiohttp's server
tls/         certificates: an authority of our own, what it signs, and the watch that renews it
intake/      exact routes, strict JSON, known parameters -> Call
identity/    credential -> Principal (keys, JWT)
origin/      address -> the calling container, by Docker's own DNS: a label, never a proof
store/       the database: opening, migrations
policy/      asks the policy, honours what it ties its yes to, and changes it without surprises
limits/      what callers have used, and whether there is more
ledger/      the journal of all requests: on disk before the engine sees one;  usage
presets/     how a model is sampled for what it is used for: defaults and bounds
stock/       models that callers have fetched or deleted
queue/       a bounded, fair turn on the engine
responses/   kept responses, for whom they are, and the requests that go on from them
relay/       the engine's events -> the caller's bytes; meters as it goes
dialects/    how answers and errors look on the wire
admin/       health and readiness; metrics; the policy for OPAs and for admins
config/      one YAML file -> frozen settings
cli/         the command line
service/     the gateway as a service of the host: units for systemd and launchd
pipeline.py  the request handler: reads like docs/life-of-a-request.md;  shared.py  what all of them share
engine_choice.py  which engine a request goes to, and whether what becomes of it speaks for that engine
own_routes.py  what the gateway answers itself, in the words of own.py;  reply.py, headers.py  one answer for each
cors.py      which other origins' pages may read them
gateway.py   puts the house together;  doors.py  its listeners;  fleet.py  the engines as the line sees them
administration.py  admins' routes;  following.py  what of the configuration counts without a restart
accounts.py  what one request holds and is charged (charging.py);  bookkeeping.py  opens what it is accounted with
live.py      what goes on right now, for top and tail;  progress.py  how far one request has come
capturing.py where the line meets the captures;  logs.py  where lines go, and what they look like
running.py   a note of where the gateway runs, for commands beside it
telemetry.py what is counted, and what is read of the parts above;  exporting.py  and what is sent to a collector
inflight.py  the running exchanges;  tasks.py  what runs beside them;  descriptors.py  how many files they may open
"""
