package gateway.authz_test

import data.gateway.authz

# ---------------------------------------------------------------- the question and the data

question := {
	"v": 1,
	"caller": {"id": "ann", "groups": ["dev"]},
	"key": {"id": "k1", "scopes": ["inference", "models:read"], "patterns": ["^.*$"], "expires_ns": 0},
	"source": {"networks": ["office"]},
	"listener": {"name": "lan"},
	"model": {"requested": "Qwen2.5:7b", "resolved": "qwen2.5:7b"},
	"models": [],
	"operation": "chat",
	"request": {"tools": 0, "images": 0},
	"time": {"hour": 12, "weekday": 2},
}

about(name) := {"model": {"requested": name, "resolved": name}}

listing(names) := {"operation": "models.list", "model": {"requested": "", "resolved": ""}, "models": names}

plain := {
	"id": "dev-chat",
	"subjects": {"group:dev": true},
	"operations": ["chat", "models.list"],
	"models": [{"glob": "qwen*", "pattern": "^qwen.*$"}, {"glob": "llama3", "pattern": "^llama3$"}],
	"tools": true,
	"images": false,
	"obligations": {},
}

cfg(grants) := {
	"v": 1,
	"revision": "r1",
	"grants": grants,
	"caps": {},
}

changed(grant, changes) := object.union(object.remove(grant, object.keys(changes)), changes)

decided(changes, data_) := d if {
	d := authz.decision with input as object.union(question, changes) with data.gwcfg as data_
}

codes(decision) := {reason.code | some reason in decision.reasons}

# ---------------------------------------------------------------- the contract

test_nothing_known_is_a_no if {
	d := authz.decision with input as {} with data.gwcfg as {}
	not d.allow
	d.obligations == {}
	"no_configuration" in codes(d)
}

test_no_data_is_a_no if {
	d := decided({}, {})
	not d.allow
	"no_configuration" in codes(d)
}

test_another_version_is_a_no if {
	not decided({"v": 2}, cfg([])).allow
	not decided({}, object.union(cfg([]), {"v": 2})).allow
}

test_unknown_operations_are_a_no if {
	d := decided({"operation": "models.delete"}, cfg([]))
	not d.allow
	codes(d) == {"scope_missing"}
}

test_decisions_name_grants_and_revision if {
	d := decided({}, cfg([plain]))
	d == {"allow": true, "reasons": set(), "obligations": {}, "grants": {"dev-chat"}, "revision": "r1"}
}

# ---------------------------------------------------------------- the credential's own bounds

test_without_grants_the_credential_decides if {
	d := decided({}, cfg([]))
	d == {"allow": true, "reasons": set(), "obligations": {}, "grants": set(), "revision": "r1"}
}

test_scopes_bound if {
	every operation in ["chat", "completions", "embeddings", "rerank", "score", "tokenize"] {
		d := decided({"operation": operation, "key": {"scopes": ["models:read"]}}, cfg([]))
		not d.allow
		codes(d) == {"scope_missing"}
	}
	every operation in ["models.list", "models.show"] {
		d := decided({"operation": operation, "key": {"scopes": ["inference", "admin"]}}, cfg([]))
		not d.allow
		codes(d) == {"scope_missing"}
	}
}

test_changing_the_models_takes_a_scope_of_its_own if {
	every operation in ["models.pull", "models.delete"] {
		decided({"operation": operation, "key": {"scopes": ["models:write"]}}, cfg([])).allow
		d := decided({"operation": operation, "key": {"scopes": ["inference", "models:read", "admin"]}}, cfg([]))
		not d.allow
		codes(d) == {"scope_missing"}
	}
}

test_changing_the_models_has_to_be_granted if {
	every operation in ["models.pull", "models.delete"] {
		asked := {"operation": operation, "key": {"scopes": ["models:write"]}}
		d := decided(asked, cfg([plain]))
		not d.allow
		codes(d) == {"no_grant"}
		granting := changed(plain, {"operations": [operation]})
		decided(asked, cfg([granting])).allow
		other := decided(object.union(asked, about("mistral")), cfg([granting]))
		not other.allow
		codes(other) == {"model_not_permitted"}
	}
}

test_globs_bound if {
	decided({"key": {"patterns": ["^llama.*$", "^qwen.*$"]}}, cfg([])).allow
	d := decided({"key": {"patterns": ["^llama.*$"]}}, cfg([]))
	not d.allow
	codes(d) == {"model_not_permitted"}
}

test_globs_bound_grants_too if {
	d := decided({"key": {"patterns": ["^llama.*$"]}}, cfg([plain]))
	not d.allow
	codes(d) == {"model_not_permitted"}
}

test_no_globs_is_no_model if {
	not decided({"key": {"patterns": []}}, cfg([])).allow
}

test_what_is_no_name_is_no_model if {
	d := decided(about(""), cfg([]))
	not d.allow
	codes(d) == {"model_not_permitted"}
}

# ---------------------------------------------------------------- conditions of grants

test_subjects if {
	every subjects in [
		{"everyone": true},
		{"user:ann": true},
		{"key:k1": true},
		{"user:bob": true, "group:ops": true, "group:dev": true},
	] {
		decided({}, cfg([changed(plain, {"subjects": subjects})])).allow
	}
	every subjects in [{}, {"user:k1": true}, {"group:ann": true}, {"key:dev": true}] {
		d := decided({}, cfg([changed(plain, {"subjects": subjects})]))
		not d.allow
		codes(d) == {"no_grant"}
	}
}

test_operations if {
	d := decided({"operation": "embeddings"}, cfg([plain]))
	not d.allow
	codes(d) == {"no_grant"}
}

test_networks if {
	bound := cfg([changed(plain, {"networks": ["vpn", "office"]})])
	decided({}, bound).allow
	decided({"source": {"networks": ["home", "vpn"]}}, bound).allow
	d := decided({"source": {"networks": ["home"]}}, bound)
	not d.allow
	codes(d) == {"place_not_permitted"}
	not decided({"source": {"networks": []}}, bound).allow
}

test_listeners if {
	bound := cfg([changed(plain, {"listeners": ["lan"]})])
	decided({}, bound).allow
	d := decided({"listener": {"name": "local"}}, bound)
	not d.allow
	codes(d) == {"place_not_permitted"}
}

test_hours if {
	bound := cfg([changed(plain, {"hours": [60, 61]})])
	decided({"time": {"hour": 13}}, bound).allow
	d := decided({"time": {"hour": 14}}, bound)
	not d.allow
	d.reasons == {{"code": "time_not_permitted", "message": "It is granted at other hours.", "public": true}}
	not decided({"time": {"weekday": 1}}, bound).allow
}

test_models if {
	decided(about("llama3"), cfg([plain])).allow
	every name in ["llama3:70b", "my-qwen", "mistral"] {
		d := decided(about(name), cfg([plain]))
		not d.allow
		codes(d) == {"model_not_permitted"}
	}
}

test_any_grant_will_do if {
	other := changed(plain, {"id": "ops", "models": [{"glob": "*", "pattern": "^.*$"}], "networks": ["vpn"]})
	d := decided({"source": {"networks": ["office", "vpn"]}}, cfg([plain, other]))
	d.grants == {"dev-chat", "ops"}
	at_home := object.union(about("mistral"), {"source": {"networks": []}})
	not decided(at_home, cfg([plain, other])).allow
}

# ---------------------------------------------------------------- aliases

with_alias(model) := cfg([changed(plain, {"aliases": {"gpt-4o": model}})])

test_an_alias_redirects_to_a_granted_model if {
	d := decided(about("gpt-4o"), with_alias("qwen2.5:7b"))
	d.allow
	d.obligations == {"model": "qwen2.5:7b"}
}

test_an_alias_grants_no_model if {
	d := decided(about("gpt-4o"), with_alias("mistral"))
	not d.allow
	codes(d) == {"model_not_permitted"}
}

test_an_alias_lifts_no_bound if {
	every patterns in [["^gpt-4o$"], ["^qwen.*$"]] {
		asked := object.union(about("gpt-4o"), {"key": {"patterns": patterns}})
		not decided(asked, with_alias("qwen2.5:7b")).allow
	}
	asked := object.union(about("gpt-4o"), {"key": {"patterns": ["^gpt-4o$", "^qwen.*$"]}})
	decided(asked, with_alias("qwen2.5:7b")).allow
}

test_an_alias_holds_where_its_grant_does if {
	not decided(object.union(about("gpt-4o"), {"caller": {"groups": []}}), with_alias("qwen2.5:7b")).allow
}

test_of_two_aliases_the_first_counts if {
	first := changed(plain, {"aliases": {"gpt-4o": "llama3"}})
	second := changed(plain, {"id": "second", "aliases": {"gpt-4o": "qwen3"}})
	decided(about("gpt-4o"), cfg([first, second])).obligations.model == "llama3"
	decided(about("gpt-4o"), cfg([second, first])).obligations.model == "qwen3"
}

# ---------------------------------------------------------------- listings

test_a_listing_shows_what_is_granted if {
	d := decided(listing(["llama3", "mistral", "qwen2.5:7b"]), cfg([plain]))
	d.allow
	d.obligations.models == {"llama3", "qwen2.5:7b"}
}

test_a_listing_shows_what_the_credential_may if {
	bound := {"key": {"patterns": ["^mistral$", "^llama.*$"]}}
	d := decided(object.union(listing(["llama3", "mistral", "qwen3"]), bound), cfg([]))
	d.obligations.models == {"llama3", "mistral"}
	both := decided(object.union(listing(["llama3", "mistral", "qwen3"]), bound), cfg([plain]))
	both.obligations.models == {"llama3"}
}

test_an_unbounded_listing_is_not_tied if {
	decided(listing(["llama3"]), cfg([])).obligations == {}
}

test_a_listing_may_be_empty if {
	d := decided(listing(["mistral"]), cfg([plain]))
	d.allow
	d.obligations.models == set()
}

test_a_listing_needs_a_grant if {
	d := decided(listing(["qwen3"]), cfg([changed(plain, {"operations": ["chat"]})]))
	not d.allow
	codes(d) == {"no_grant"}
}

# ---------------------------------------------------------------- tools and images

test_tools_and_images_are_free_without_grants if {
	decided({"request": {"tools": 2, "images": 1}}, cfg([])).allow
}

test_tools_need_a_grant_that_allows_them if {
	decided({"request": {"tools": 2}}, cfg([plain])).allow
	d := decided({"request": {"tools": 2}}, cfg([changed(plain, {"tools": false})]))
	not d.allow
	codes(d) == {"tools_not_allowed"}
}

test_images_need_a_grant_that_allows_them if {
	d := decided({"request": {"images": 1}}, cfg([plain]))
	not d.allow
	codes(d) == {"images_not_allowed"}
	decided({"request": {"images": 1}}, cfg([plain, changed(plain, {"id": "b", "images": true})])).allow
}

test_an_unknown_number_of_tools_is_too_many if {
	d := authz.decision with input as object.remove(question, ["request"]) with data.gwcfg as cfg([plain])
	not d.allow
	{"images_not_allowed"} == codes(d)
}
