package gateway.quota_test

import data.gateway.authz

question := {
	"v": 1,
	"caller": {"id": "ann", "groups": ["dev", "ops"]},
	"key": {"id": "k1", "scopes": ["inference"], "patterns": ["^.*$"], "expires_ns": 200},
	"model": {"resolved": "qwen3"},
	"operation": "chat",
	"request": {"tools": 0, "images": 0},
	"time": {"now_ns": 100},
	"usage": {"tokens_day": 999},
}

decided(changes) := d if {
	d := authz.decision with input as object.union(question, changes)
		with data.gwcfg as {"v": 1, "grants": [], "tokens_day": {"dev": 1000, "ops": 10}}
}

codes(changes) := {reason.code | some reason in decided(changes).reasons}

test_below_the_quota if decided({}).allow

test_at_the_quota if {
	codes({"usage": {"tokens_day": 1000}}) == {"token_quota"}
	not decided({"usage": {"tokens_day": 1000}}).allow
}

test_unknown_counters_are_a_no if {
	d := authz.decision with input as object.remove(question, ["usage"])
		with data.gwcfg as {"v": 1, "grants": [], "tokens_day": {"dev": 1000}}
	not d.allow
}

test_groups_without_a_quota if decided({"usage": {"tokens_day": 5000}, "caller": {"groups": ["guests"]}}).allow

test_expired if {
	codes({"time": {"now_ns": 200}}) == {"key_expired"}
	not decided({"time": {"now_ns": 200}}).allow
}

test_never_expires if decided({"time": {"now_ns": 200}, "key": {"expires_ns": 0}}).allow
