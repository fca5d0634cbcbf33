package gateway.obligations_test

import data.gateway.authz_test as t

ties(changes, obligations) := d.obligations if {
	grants := [g |
		some i, tie in obligations
		g := t.changed(t.plain, {"id": sprintf("g%d", [i]), "obligations": tie})
	]
	d := t.decided(changes, t.cfg(grants))
	d.allow
}

capped(obligations, caps) := d.obligations if {
	g := t.changed(t.plain, {"obligations": obligations})
	d := t.decided({}, object.union(t.cfg([g]), {"caps": caps}))
}

test_a_no_is_tied_to_nothing if {
	g := t.changed(t.plain, {"obligations": {"audit": true, "max_tokens": 5}})
	t.decided(t.about("mistral"), t.cfg([g])).obligations == {}
}

test_the_largest_cap_counts if {
	ties({}, [{"max_tokens": 10, "timeout_s": 1.5}, {"max_tokens": 20, "timeout_s": 1}]) == {
		"max_tokens": 20,
		"timeout_s": 1.5,
	}
}

test_a_grant_without_a_cap_lifts_it if {
	ties({}, [{"max_tokens": 10, "timeout_s": 1}, {}]) == {}
}

test_a_cap_of_answers_is_none_of_fetching_a_model if {
	g := t.changed(t.plain, {"operations": ["models.pull", "models.delete"], "obligations": {"timeout_s": 5}})
	data_ := object.union(t.cfg([g]), {"caps": {"max_tokens": 7, "timeout_s": 9}})
	pull := t.decided({"operation": "models.pull", "key": {"scopes": ["models:write"]}}, data_)
	pull.allow
	pull.obligations == {}
	remove := t.decided({"operation": "models.delete", "key": {"scopes": ["models:write"]}}, data_)
	remove.obligations == {"timeout_s": 5}
}

test_caps_for_everybody_stay if {
	capped({}, {"max_tokens": 7, "timeout_s": 9}) == {"max_tokens": 7, "timeout_s": 9}
	capped({"max_tokens": 5}, {"max_tokens": 7}) == {"max_tokens": 5}
	capped({"max_tokens": 10}, {"max_tokens": 7}) == {"max_tokens": 7}
}

test_caps_for_everybody_need_no_grants if {
	d := t.decided({}, object.union(t.cfg([]), {"caps": {"max_tokens": 7}}))
	d.obligations == {"max_tokens": 7}
}

test_listings_have_no_tokens if {
	ties(t.listing([]), [{"max_tokens": 10, "timeout_s": 3}]) == {"models": set(), "timeout_s": 3}
}

test_tools_of_all_grants_together if {
	ties({}, [{"tools_allowed": ["a", "b"]}, {"tools_allowed": ["b", "c"]}]) == {"tools_allowed": {"a", "b", "c"}}
	ties({}, [{"tools_allowed": ["a"]}, {}]) == {}
}

test_grants_without_tools_do_not_open_tools if {
	none := t.changed(t.plain, {"id": "none", "tools": false})
	some_ := t.changed(t.plain, {"obligations": {"tools_allowed": ["a"]}})
	t.decided({}, t.cfg([none, some_])).obligations == {"tools_allowed": {"a"}}
}

test_the_best_band_counts if {
	ties({}, [{"priority": "batch"}]) == {"priority": "batch"}
	ties({}, [{"priority": "batch"}, {"priority": "normal"}]) == {"priority": "normal"}
	ties({}, [{"priority": "batch"}, {}]) == {}
	ties({}, [{"priority": "normal"}, {}]) == {}
	ties({}, [{"priority": "batch"}, {}, {"priority": "interactive"}]) == {"priority": "interactive"}
}

test_the_first_class_counts if {
	ties({}, [{}, {"rate_class": "slow"}, {"rate_class": "fast"}]) == {"rate_class": "slow"}
}

test_stripped_is_what_all_strip if {
	ties({}, [{"strip": ["seed", "stop"]}, {"strip": ["seed"]}]) == {"strip": {"seed"}}
	ties({}, [{"strip": ["seed"]}, {}]) == {}
}

test_redacted_is_what_one_redacts if {
	ties({}, [{"redact": ["messages"]}, {}, {"redact": ["source.ip"]}]) == {"redact": {"messages", "source.ip"}}
}

test_captured_is_the_most_that_one_wants if {
	ties({}, [{}, {"capture": "metadata"}]) == {"capture": "metadata"}
	ties({}, [{"capture": "full"}, {"capture": "metadata"}]) == {"capture": "full"}
}

test_audited_if_one_wants_it if {
	ties({}, [{}, {"audit": true}, {"audit": true}]) == {"audit": true}
}

test_headers_of_all_and_the_first_of_a_name if {
	ties({}, [{"headers": {"x-a": "1"}}, {"headers": {"x-a": "2", "x-b": "3"}}, {}]) == {"headers": {
		"x-a": "1",
		"x-b": "3",
	}}
}

test_an_alias_of_itself_is_no_redirect if {
	g := t.changed(t.plain, {"aliases": {"llama3": "llama3"}})
	d := t.decided(t.about("llama3"), t.cfg([g]))
	d.allow
	d.obligations == {}
}

test_a_listing_is_not_redirected if {
	g := t.changed(t.plain, {"aliases": {"": "llama3"}})
	t.decided(t.listing(["qwen3"]), t.cfg([g])).obligations == {"models": {"qwen3"}}
}
