"""What types cannot say: names, addresses, exposure, aliases, issuers."""

from __future__ import annotations

import pytest

from edge.config.load import Overrides
from tests.edge.config.conftest import Load, Mistakes

ISSUER = "name: %s, issuer: 'https://%s/', audience: [x], jwks_url: 'https://i/j'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listeners: []", "1:12: listeners: must hold at least one listener"),
        (
            "listeners: [{name: a, bind: '127.0.0.1:1'}, {name: a, bind: '127.0.0.1:2'}]",
            "listeners[1].name: `a` is the name of another listener too",
        ),
        (
            "listeners: [{name: a, bind: '127.0.0.1:1'}, {name: b, bind: 'localhost:1'}]",
            "listeners[1].bind: 127.0.0.1:1 is the address of listener `a` too",
        ),
        (
            "listeners: [{name: admin, bind: '127.0.0.1:1'}]",
            "listeners[0].name: `admin` is the name of the admin plane",
        ),
        ("admin: {bind: '127.0.0.1:8080'}", "admin.bind: 127.0.0.1:8080 is the address of listener `local` too"),
        ("engines: {list: [{name: v1, kind: vllm, url: 'http://h'}]}", "engines.list[0].name: `v1` cannot be"),
        (
            "engines: {list: [{name: a, kind: vllm, url: 'http://h'}, {name: a, kind: vllm, url: 'http://h'}]}",
            "engines.list[1].name: `a` is the name of another engine too",
        ),
        ("engines: {list: [{name: a, kind: vllm, url: 'http://h', model: 'a b'}]}", "model: is not a model name"),
        ("identity: {lockout: {failures: 0}}", "1:32: identity.lockout.failures: must be above 0"),
        (
            "engines: {list: [{name: a, kind: vllm, url: 'http://h', timeouts: {gap: 0}}]}",
            "engines.list[0].timeouts.gap: must be above 0",
        ),
        ("models: {aliases: {'a b': c}}", "models.aliases.a b: the alias is not a model name"),
        ("models: {aliases: {a: 'b//c'}}", "models.aliases.a: is not a model name"),
        ("models: {aliases: {a: x, 'A:latest': y}}", "models.aliases.A:latest: is the same name as the alias `a`"),
        ("models: {aliases: {a: b, b: c}}", "models.aliases.a: must name a model, not an alias"),
        ("models: {aliases: {a: b@code, b: c}}", "models.aliases.a: must name a model, not an alias"),
        ("models: {aliases: {a: b@chat@code, b: c}}", "models.aliases.a: must name a model, not an alias"),
        ("models: {aliases: {a: a@chat@code}}", "models.aliases.a: must name a model, not an alias"),
        ("models: {aliases: {a: 'b@code', 'b@code': c}}", "models.aliases.a: must name a model, not an alias"),
        ("models: {aliases: {a: 'A:latest'}}", "models.aliases.a: must name a model, not an alias"),
        (
            "identity: {issuers: [{" + ISSUER % ("a", "x") + "}, {" + ISSUER % ("a", "y") + "}]}",
            "issuers[1].name: `a` is the name of another issuer too",
        ),
        (
            "identity: {issuers: [{" + ISSUER % ("compose", "x") + "}]}",
            "issuers[0].name: owners called `compose:...` are Compose's stacks",
        ),
        (
            "identity: {issuers: [{" + ISSUER % ("a", "x") + "}, {" + ISSUER % ("b", "x") + "}]}",
            "issuers[1].issuer: is configured already",
        ),
        (
            "identity: {issuers: [{" + ISSUER % ("a", "x") + ", listeners: [lan]}]}",
            "issuers[0].listeners: `lan` is not the name of a listener",
        ),
        (
            "keys: [{name: a, secret_file: x}, {name: a, secret_file: y}]",
            "keys[1].name: `a` is the name of another key too",
        ),
        (
            "keys: [{name: a, secret_file: x, listeners: [lan]}]",
            "keys[0].listeners: `lan` is not the name of a listener",
        ),
        ("keys: [{name: a, secret_file: x, rpm: 0}]", "keys[0]: rpm must be at least 1"),
        ("keys: [{name: a, secret_file: x, models: ['a b']}]", "keys[0]: use a model's name"),
        ("keys: [{name: a}]", "keys[0]: lacks `secret_file`"),
        (
            "policy: {grants: [{id: a, models: [m], everyone: true}, {id: a, models: [m], everyone: true}]}",
            "policy.grants[1].id: `a` is the id of another grant too",
        ),
        (
            "policy: {networks: {office: [10.0.0.0/8]}, grants: [{id: a, models: [m], keys: [k], networks: [ofice]}]}",
            "policy.grants[0].networks: `ofice` is not the name of anything in policy.networks; write `office`",
        ),
        (
            "policy: {grants: [{id: a, models: [m], everyone: true, listeners: [lan]}]}",
            "policy.grants[0].listeners: `lan` is not the name of anything in listeners",
        ),
        (
            "policy: {grants: [{id: a, models: [m], everyone: true, rate_class: gold}]}",
            "policy.grants[0].rate_class: `gold` is not the name of anything in limits.classes",
        ),
        (
            "telemetry: {capture: {redact: ['a+']}}",
            "telemetry.capture: redact: `a+` must say how often: {1,64} in place of + or *",
        ),
        (
            "policy: {grants: [{id: a, models: [m], keys: [k], aliases: {x: y, y: m}}]}",
            "policy.grants[0].aliases.x: `y` is an alias too; name the model itself",
        ),
        (
            "policy: {grants: [{id: a, models: [m], keys: [k], aliases: {x: x}}]}",
            "policy.grants[0].aliases.x: `x` is an alias too",
        ),
        ("policy: {grants: [{id: a, models: [m]}]}", "policy.grants[0]: gives nobody anything: name `users`"),
        ("policy: {engine: remote}", "engine: remote needs a url"),
        ("policy: {engine: opa, url: 'http://opa:8181'}", "url is of no use to engine: opa"),
        ("policy: {push: true}", "token, ca_file and push need a url"),
        ("policy: {timezone: Mars/Olympus}", "timezone must be `local` or a name"),
        ("policy: {grants: [{id: a, models: [], everyone: true}]}", "models must name at least one model"),
        ("identity: {issuers: [{name: a, issuer: i, audience: [x]}]}", "give either key_file or jwks_url"),
    ],
)
def test_refuses_contradictions(mistakes: Mistakes, text: str, said: str) -> None:
    (line,) = mistakes(text)
    assert said in line


def test_ports_that_the_system_chooses_do_not_collide(settings: Load) -> None:
    got = settings("listeners: [{name: a, bind: '127.0.0.1:0'}]\nadmin: {bind: '127.0.0.1:0'}")
    assert got.listeners[0].bind == got.admin.bind


class TestExposure:
    @pytest.mark.parametrize("bind", ["0.0.0.0:80", "[::]:80", "192.168.1.5:80", "[fe80::1]:80", "100.64.0.1:80"])
    def test_an_address_others_can_reach_must_be_wanted(self, settings: Load, mistakes: Mistakes, bind: str) -> None:
        text = f"listeners: [{{name: a, bind: '{bind}'%s}}]"
        (line,) = mistakes(text % "")
        assert "listeners[0].bind" in line
        assert "say `tls: auto`, or `insecure: true` beside it" in line
        assert line.endswith("write `127.0.0.1:80` instead")
        for word in (", insecure: true", ", tls: auto", ", tls: {cert_file: a, key_file: b}"):
            assert str(settings(text % word).listeners[0].bind) == bind

    def test_tls_and_insecure_contradict_each_other(self, mistakes: Mistakes) -> None:
        (line,) = mistakes("listeners: [{name: a, bind: '0.0.0.0:1', tls: auto, insecure: true}]")
        assert "listeners[0].insecure: stands beside `tls`" in line

    @pytest.mark.parametrize("bind", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "localhost:80"])
    def test_loopback_needs_no_word(self, settings: Load, bind: str) -> None:
        assert settings(f"listeners: [{{name: a, bind: '{bind}'}}]").listeners[0].bind.loopback

    def test_the_admin_plane_is_no_exception(self, mistakes: Mistakes) -> None:
        (line,) = mistakes("admin: {bind: '0.0.0.0:8081'}")
        assert line.startswith("1:15: admin.bind: 0.0.0.0:8081 can be reached from every network")
        assert "say `insecure: true` beside it" in line

    def test_the_command_line_opens_nothing_by_itself(self, settings: Load, mistakes: Mistakes) -> None:
        wide = Overrides(listen="0.0.0.0:9000")
        (line,) = mistakes("queue: {limit: 1}", {}, wide)
        assert line.startswith("--listen: 0.0.0.0:9000 can be reached")
        meant = "listeners: [{name: a, bind: '127.0.0.1:1', insecure: true}]"
        assert str(settings(meant, {}, wide).listeners[0].bind) == "0.0.0.0:9000"


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("*", "must be one exact origin: no wildcards, no `null`"),
        ("https://*.example", "must be one exact origin"),
        ("null", "must be one exact origin"),
        ("file://", "must be one exact origin"),
        ("https://app.example/", "is not how browsers spell it; write `https://app.example`"),
        ("https://App.example", "write `https://app.example`"),
        ("https://app.example:443", "write `https://app.example`"),
        ("http://app.example:80", "write `http://app.example`"),
        ("app.example", "must be an origin"),
        ("https://app.example/path", "must be an origin"),
        ("https://user@app.example", "must be an origin"),
        ("https://app.example:0443", "must be an origin"),
        ("https://app.example:70000", "must have a port up to 65535"),
        ("https://bücher.example", "must be an origin"),
    ],
)
def test_an_origin_is_exactly_what_browsers_send(mistakes: Mistakes, origin: str, said: str) -> None:
    (line,) = mistakes(f"listeners: [{{name: a, bind: '127.0.0.1:1', cors: {{origins: ['{origin}']}}}}]")
    assert "listeners[0].cors.origins[0]" in line
    assert said in line


def test_origins_of_browsers_and_apps(settings: Load, mistakes: Mistakes) -> None:
    origins = ["https://app.example:8443", "http://localhost:3000", "http://[::1]:5173", "app://obsidian.md"]
    text = "listeners: [{name: a, bind: '127.0.0.1:1', cors: {origins: %s, max_age: %s}}]"
    found = settings(text % (origins, "1h")).listeners[0].cors
    assert found is not None
    assert (found.origins, found.max_age) == (tuple(origins), 3600.0)
    assert "must be from 0s to 1d" in mistakes(text % (origins, "2d"))[0]
    assert "origins must hold at least one" in mistakes(text % ([], "1h"))[0]
    assert "is not a known key" in mistakes("admin: {cors: {origins: ['https://a.example']}}")[0]
