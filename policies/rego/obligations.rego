package gateway.authz

# What a yes is tied to. Of several grants that match, the most generous counts: a cap holds if all of them have one, and
# is their largest. What protects or records (redact, capture, audit) is done if one of them asks for it.

# METADATA
# title: model
# description: Serve the model that an alias stands for.
obligations["model"] := target if {
	allow
	input.operation != "models.list"
	target != input.model.resolved
}

# METADATA
# title: models
# description: What a listing may show; absent if it may show everything.
obligations["models"] := visible if {
	allow
	input.operation == "models.list"
	limited
}

# METADATA
# title: max_tokens
# description: Most tokens of an answer.
obligations["max_tokens"] := min(bounds) if {
	allow
	input.operation in {"chat", "completions"}
	bounds := caps("max_tokens")
	count(bounds) > 0
}

# METADATA
# title: timeout_s
# description: Seconds for the whole answer. To fetch a model is none, and takes as long as it takes.
obligations["timeout_s"] := min(bounds) if {
	allow
	input.operation != "models.pull"
	bounds := caps("timeout_s")
	count(bounds) > 0
}

# METADATA
# title: tools_allowed
# description: The tools that may be offered, if all matching grants that allow tools name some.
obligations["tools_allowed"] := {name | some g in with_tools; some name in g.obligations.tools_allowed} if {
	allow
	count(with_tools) > 0
	every g in with_tools {
		g.obligations.tools_allowed
	}
}

# METADATA
# title: priority
# description: The band of the queue.
obligations["priority"] := best if allow

# METADATA
# title: rate_class
# description: The limits class that the first matching grant names.
obligations["rate_class"] := classes[0] if {
	allow
	classes := [class | some g in matching; class := g.obligations.rate_class]
}

# METADATA
# title: strip
# description: Parameters that all matching grants want taken out.
obligations["strip"] := parameters if {
	allow
	parameters := intersection({wanted | some g in matching; wanted := {p | some p in g.obligations.strip}})
	count(parameters) > 0
}

# METADATA
# title: redact
# description: Fields to mask in records.
obligations["redact"] := fields if {
	allow
	fields := {field | some g in matching; some field in g.obligations.redact}
	count(fields) > 0
}

# METADATA
# title: capture
# description: How much of the request is kept.
obligations["capture"] := most_captured if {
	allow
	most_captured != "none"
}

# METADATA
# title: audit
# description: Whether the decision is on disk before the engine sees the request.
obligations["audit"] := audit if {
	allow
	some g in matching
	audit := g.obligations.audit
}

# METADATA
# title: headers
# description: Headers for the answer; of one name, the first matching grant's.
obligations["headers"] := headers if {
	allow
	headers := object.union_n(array.reverse([added | some g in matching; added := g.obligations.headers]))
	count(headers) > 0
}

# METADATA
# description: Whether a listing may show less than all there is.
limited if not unrestricted

limited if not "^.*$" in input.key.patterns

# METADATA
# description: The matching grants that allow tools.
with_tools := [g |
	some g in matching
	g.tools
]

# METADATA
# description: The bounds of a cap, of which the smallest counts.
caps(name) := array.concat(granted_cap(name), [cap | cap := data.gwcfg.caps[name]])

# METADATA
# description: The largest cap of the matching grants, if all of them have one.
granted_cap(name) := [max(found)] if {
	count(matching) > 0
	found := [cap | some g in matching; cap := g.obligations[name]]
	count(found) == count(matching)
} else := []

# METADATA
# description: The band of the queue. A grant that says none means the usual one, which is better than batch.
best := "interactive" if {
	"interactive" in bands
} else := "normal" if {
	"normal" in bands
	not "" in bands
} else := "batch" if bands == {"batch"}

# METADATA
# description: The bands that the matching grants name, "" for one that names none.
bands := {object.get(g.obligations, "priority", "") | some g in matching}

# METADATA
# description: The most that a matching grant wants kept of a request.
most_captured := "full" if {
	"full" in captures
} else := "metadata" if {
	"metadata" in captures
} else := "none"

# METADATA
# description: What the matching grants want kept.
captures := {g.obligations.capture | some g in matching}
