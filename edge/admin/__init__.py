"""The admin listener: health and readiness for anyone, policy and metrics for holders of a key with their scope.

    handler.py     AdminHandler: /healthz and /readyz; everything else goes to the api, if there is one
    api.py         AdminApi: who is it, may they, which route, one answer, one observer told
    answers.py     Ask and Answer: what a route gets and gives
    bodies.py      bodies, inflated within bounds;  fields.py  their members
    pacing.py      Turns and Pace: how much at once, how often
    routes.py      policy_routes: the table of routes, and what they need (PolicyPlane); SCOPES: what opens which
    metrics.py     GET /metrics
    live.py        GET /live and /live/requests: what goes on;  flowing.py  an answer that goes on
    captures.py    GET /capture/{id}
    bundles.py     GET /policy/bundle.tar.gz: the long poll of OPA fleets
    reports.py     POST /policy/status and /policy/logs: what OPAs say; GET /policy/status
    events.py      FleetEvents: what OPAs decided, into the decision log
    data.py        GET /policy; GET and PUT /policy/data
    stacks.py      POST /stacks/up and /stacks/down: keys of Compose stacks
    listing.py     GET /models: what there is, and how each dialect is served
    models.py      POST /models/ensure: is it there, may it be fetched
    removing.py    POST /models/remove: an engine deletes it
    applying.py    LifecycleAdmin: how a PUT gets into force

What a route needs is passed in: `edge/administration.py` puts it together.
"""
