# Who may what: the credential's own bounds, and the grants.
package gateway.authz

# METADATA
# description: A yes needs every line of this rule; what cannot be told is no yes.
default allow := false

allow if {
	current
	permitted
	count(deny) == 0
}

# METADATA
# description: Whether input and data are of the version that these rules were written for.
default current := false

current if {
	input.v == 1
	data.gwcfg.v == 1
}

# METADATA
# description: The word of the data's author on which state they are in.
default revision := ""

revision := data.gwcfg.revision

# METADATA
# description: Whether the operation, on the model it is about, is within the credential's bounds and granted.
default permitted := false

permitted if {
	scope_ok
	within_key
	granted
}

# ---------------------------------------------------------------- the credential's own bounds

# METADATA
# description: The scope that each operation needs.
scopes := {
	"chat": "inference",
	"completions": "inference",
	"embeddings": "inference",
	"rerank": "inference",
	"score": "inference",
	"tokenize": "inference",
	"models.list": "models:read",
	"models.show": "models:read",
	"models.pull": "models:write",
	"models.delete": "models:write",
}

# METADATA
# description: Whether the credential has the scope that the operation needs.
default scope_ok := false

scope_ok if scopes[input.operation] in input.key.scopes

# METADATA
# description: Whether the credential's globs cover the model as it was asked for and the one that will be served.
default within_key := false

within_key if input.operation == "models.list"

within_key if {
	input.model.resolved != ""
	every name in {input.model.resolved, target} {
		key_covers(name)
	}
}

# METADATA
# description: Whether one of the credential's globs covers a canonical name.
key_covers(_) if "^.*$" in input.key.patterns

key_covers(name) if {
	not "^.*$" in input.key.patterns
	some pattern in input.key.patterns
	regex.match(pattern, name)
}

# ---------------------------------------------------------------- grants, condition by condition

# METADATA
# description: The caller, in the words that grants name subjects with.
who contains "everyone"

who contains concat(":", ["user", input.caller.id])

who contains concat(":", ["key", input.key.id])

who contains concat(":", ["group", group]) if some group in input.caller.groups

# METADATA
# description: The numbers of the grants for this caller and this operation.
addressed := {i |
	some i, g in data.gwcfg.grants
	input.operation in g.operations
	some name in who
	g.subjects[name]
}

# METADATA
# description: These grants in the order of the configuration, as all those below.
mine := [g |
	some i in sort(addressed)
	g := data.gwcfg.grants[i]
]

# METADATA
# description: Those of them that hold at the place where the request came in.
here := [g |
	some g in mine
	place_ok(g)
]

# METADATA
# description: Those of them that hold at this hour.
now := [g |
	some g in here
	hour_ok(g)
]

# METADATA
# description: Those of them that cover the model; a listing is about no single one.
matching := [g |
	some g in now
	model_ok(g)
]

# METADATA
# description: Whether a grant holds on this listener, for this network.
place_ok(g) if {
	listener_ok(g)
	network_ok(g)
}

# METADATA
# description: Whether a grant holds on this listener.
listener_ok(g) if not g.listeners

listener_ok(g) if input.listener.name in g.listeners

# METADATA
# description: Whether a grant holds for one of the configured networks that the peer is in.
network_ok(g) if not g.networks

network_ok(g) if {
	some network in input.source.networks
	network in g.networks
}

# METADATA
# description: Whether a grant holds at this hour of the week.
hour_ok(g) if not g.hours

hour_ok(g) if ((input.time.weekday * 24) + input.time.hour) in g.hours

# METADATA
# description: Whether a grant holds for what the request is about.
model_ok(_) if input.operation == "models.list"

model_ok(g) if {
	some model in g.models
	regex.match(model.pattern, target)
}

# METADATA
# description: Whether there are no grants, so that the credential's own bounds decide alone.
default unrestricted := false

unrestricted if data.gwcfg.grants == []

# METADATA
# description: Whether a grant matches, or none is needed.
default granted := false

granted if unrestricted

granted if count(matching) > 0

# ---------------------------------------------------------------- the model

# METADATA
# description: What the grants' aliases make of the model's name; the first one counts.
redirects := [model |
	some g in now
	model := g.aliases[input.model.resolved]
]

# METADATA
# description: The canonical name of the model that would be served. It has to be permitted by the same rules.
target := redirects[0]

target := input.model.resolved if count(redirects) == 0

# METADATA
# description: The candidates of a listing that the caller may use.
visible := {name |
	some name in input.models
	key_covers(name)
	granted_name(name)
}

# METADATA
# description: Whether a matching grant covers a name, or none is needed.
granted_name(_) if unrestricted

granted_name(name) if {
	some pattern in granted_patterns
	regex.match(pattern, name)
}

# METADATA
# description: What the matching grants cover; grants often share a glob, and a listing looks at each only once.
granted_patterns := {model.pattern | some g in matching; some model in g.models}

# ---------------------------------------------------------------- what the request carries

# METADATA
# description: Whether the request has no tools, or may have them.
default tools_ok := false

tools_ok if input.request.tools == 0

tools_ok if unrestricted

tools_ok if {
	some g in matching
	g.tools
}

# METADATA
# description: Whether the request has no images, or may have them.
default images_ok := false

images_ok if input.request.images == 0

images_ok if unrestricted

images_ok if {
	some g in matching
	g.images
}

# ---------------------------------------------------------------- reasons of a no

# METADATA
# description: |
#   What speaks against a request that is permitted otherwise. Other files of this package may add to it: objects with
#   code, message and public.
deny contains {"code": "tools_not_allowed", "message": "no matching grant allows tools", "public": false} if {
	permitted
	not tools_ok
}

deny contains {"code": "images_not_allowed", "message": "no matching grant allows images", "public": false} if {
	permitted
	not images_ok
}

# METADATA
# description: |
#   Why not. The gateway has its own constant text for most codes; only a public message reaches the caller. None names
#   a model, so that nothing tells a hidden one from one that does not exist.
reasons contains reason if some reason in deny

reasons contains {"code": "no_configuration", "message": "input and data are not both of version 1", "public": false} if {
	not current
}

reasons contains {"code": "scope_missing", "message": "the credential lacks the operation's scope", "public": false} if {
	not permitted
	not scope_ok
}

reasons contains {"code": "model_not_permitted", "message": "outside the credential's models", "public": false} if {
	not permitted
	scope_ok
	not within_key
}

reasons contains {"code": code, "message": message, "public": code == "time_not_permitted"} if {
	not permitted
	scope_ok
	within_key
	[code, message] := missing
}

# METADATA
# description: The first condition that no grant meets, as code and message.
missing := ["no_grant", "no grant for this caller and operation"] if {
	count(mine) == 0
} else := ["place_not_permitted", "granted elsewhere, not from here"] if {
	count(here) == 0
} else := ["time_not_permitted", "It is granted at other hours."] if {
	count(now) == 0
} else := ["model_not_permitted", "no grant covers this model"]
