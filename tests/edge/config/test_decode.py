"""Nodes -> values: every mistake with its place, its key and what to write instead; secrets never in a message."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.config.values import Bind, Secret, read_bytes, read_seconds, write_bytes, write_seconds
from edge.queue.settings import QueueLimits
from engines.contract import Kind, Timeouts
from policies.principal import Quota, Scope
from tests.edge.config.conftest import Load, Mistakes

UNHURRIED = hypothesis_settings(deadline=None)  # a busy machine is no failure

SECTIONS = (
    "listeners, admin, engines, models, identity, keys, policy, limits, queue, json, ledger, responses, stores, "
    "telemetry"
)
ENGINE = "engines: {list: [{name: a, kind: vllm, url: 'http://h:1', %s}]}"
LISTENER = "listeners: [{name: a, bind: '127.0.0.1:1', %s}]"


def test_reads_every_kind_of_value(settings: Load) -> None:
    got = settings(
        "listeners:\n"
        "  - {name: lan, bind: '[::1]:0', networks: [10.0.0.0/8, 'fd00::/8'], hosts: [studio.local], strict: true,\n"
        "     limits: {header_s: 1.5m, body_bytes: 2MiB, header_count: 7, unauthenticated_share: 0.5}}\n"
        "engines: {discover: false, list: [{name: m, kind: mlx-lm, url: 'http://[::1]:1/x/', model: m/q,\n"
        "  concurrency: 3, timeouts: {gap: 250ms, total: 60}}]}\n"
        "models: {aliases: {a: b}}\n"
        "telemetry: {access_log: off}\n"
    )
    listener, engine = got.listeners[0], got.engines.list[0].engine(9)
    assert (listener.bind, listener.strict, listener.hosts) == (Bind("::1", 0), True, ("studio.local",))
    assert listener.networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    limits = listener.limits
    assert (limits.header_s, limits.body_bytes, limits.header_count) == (90.0, 2 << 20, 7)
    assert limits.unauthenticated_share == 0.5
    assert (engine.kind, engine.url, engine.model, engine.concurrency) == (Kind.MLX_LM, "http://[::1]:1/x", "m/q", 3)
    assert engine.timeouts == Timeouts(gap=0.25, total=60.0)
    assert (dict(got.models.aliases), got.telemetry.access_log) == ({"a": "b"}, "off")


def test_reads_the_dataclasses_of_other_packages_as_they_are(settings: Load, tmp_path: Path) -> None:
    got = settings(
        "identity:\n"
        "  issuers:\n"
        "    - {name: s, issuer: 'https://i/', audience: [a, b], key_file: keys/s.pem, algorithms: [ES256],\n"
        "       scope_mapping: {gw-admin: admin}, default_scopes: [], networks: [10.0.0.0/8], listeners: [local],\n"
        "       quota: {rpm: 5, priority: low}, max_lifetime: 2h}\n"
        "queue: {limit: 3, wait: 1500ms}\n"
    )
    (issuer,) = got.identity.issuers
    assert (issuer.audience, issuer.algorithms) == (("a", "b"), frozenset({"ES256"}))
    assert issuer.key_file == tmp_path / "keys" / "s.pem"
    assert (dict(issuer.scope_mapping), issuer.default_scopes) == ({"gw-admin": Scope.ADMIN}, frozenset())
    assert (issuer.networks, issuer.listeners) == ((ip_network("10.0.0.0/8"),), frozenset({"local"}))
    assert (issuer.quota, issuer.max_lifetime) == (Quota(rpm=5, priority="low"), 7200.0)
    assert got.queue == QueueLimits(limit=3, wait=1.5)


def test_tells_all_mistakes_at_once_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    assert mistakes(
        "listners: []\n"
        "engines:\n"
        "  discover: yes\n"
        "  list:\n"
        "    - {name: a, kind: mlxlm, url: 'http://h'}\n"
        "    - {kind: openai}\n"
        "queue: {wait: 5 min, wait: 1}\n"
        "policy: {grants: [{models: [m]}]}\n"
    ) == [
        f"1:1: listners: is not a known key (known here: {SECTIONS}); write `listeners` instead",
        "3:13: engines.discover: must be true or false; write `true` instead",
        f"5:23: engines.list[0].kind: must be one of {', '.join(Kind)}; write `mlx-lm` instead",
        "6:7: engines.list[1]: lacks `name`: its name, as in /engines/{name}/v1 and in logs",
        "6:7: engines.list[1]: lacks `url`: where it listens: http://, https:// or unix:///path",
        "7:15: queue.wait: must be a duration (ms, s, m, h, d); write `5m` instead",
        "7:22: queue.wait: stands here a second time (first in line 7)",
        "8:19: policy.grants[0]: lacks `id`",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "1:1: must be a table"),
        ("queue: 5", "queue: must be a table"),
        ("queue:", "queue: has no value"),
        ("listeners: {}", "listeners: must be a list"),
        ("admin: {bind: [a]}", "admin.bind: must be a single value"),
        (ENGINE % "model: 8", 'YAML reads this as a number; write `"8"` instead'),
        (ENGINE % 'concurrency: "8"', "must be a whole number; write `8` instead"),
        (ENGINE % "concurrency: 0", "must be from 1 to 4096; write `1` instead"),
        (ENGINE % "concurrency: 1.5", "must be a whole number"),
        (ENGINE % "concurrency: 99999999999999999999999", "must be a whole number"),
        (ENGINE % "timeouts: {gap: -1}", "must be from 0s to 366d; write `0s` instead"),
        (ENGINE % "timeouts: {gap: 1e999}", "must be from 0s to 366d; write `366d` instead"),
        (LISTENER % "limits: {body_rate: 1e999}", "limits.body_rate: must be"),
        (ENGINE % "timeouts: {gap: .nan}", "must be a duration"),
        ('"a\\n\\e[31mb": 1', "1:1: a??[31mb: is not a known key"),
        (LISTENER % "limits: {body_bytes: 20 MB}", "must be a size (B, KiB, MiB, GiB; powers of 1024); write `20MiB`"),
        (LISTENER % "limits: {header_s: 0}", "listeners[0].limits: listener limits must be positive: header_s"),
        (LISTENER % "networks: [10.1.2.3/8]", "has bits set behind the prefix; write `10.0.0.0/8` instead"),
        (LISTENER % "networks: 10.0.0.0/8", "must be a list; write `[10.0.0.0/8]` instead"),
        (LISTENER % "hosts: ['http://x']", "must be a host name"),
        (LISTENER % "limits: {body_rate: fast}", "limits.body_rate: must be a number"),
        (LISTENER % "networks: [lan]", "must be a network in CIDR notation; write `192.168.0.0/16` instead"),
        (
            "identity: {issuers: [{name: s, issuer: i, audience: [a], default_scopes: [root]}]}",
            "must be one of inference",
        ),
        (ENGINE % "api_key_file: [a]", "api_key_file: must be the path of a file"),
        (LISTENER % "strict: 'true'", "must be true or false; write `true` instead"),
        ("admin: {bind: '8081'}", "write `127.0.0.1:8081` instead"),
        ("admin: {bind: ':8081'}", "needs an IP address or `localhost`"),
        ("admin: {bind: 'example.com:1'}", "needs an IP address or `localhost`"),
        ("admin: {bind: '127.0.0.1:65536'}", "port from 0 to 65535"),
        ("admin: {bind: '::1:80'}", "brackets"),
        ("telemetry: {access_log: stdout}", "write `stderr` instead"),
        ("stores: {database: 'mysql://h/d'}", "must be the URL of a SQLite or PostgreSQL database"),
    ],
)
def test_says_what_to_write_instead(mistakes: Mistakes, text: str, said: str) -> None:
    (line,) = mistakes(text)
    assert said in line


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h",
        "h:80",
        "http://",
        "http://user:hunter2@h",
        "http://hunter2@h",
        "http://h?key=hunter2",
        "http://h/#x",
        "http://h/a/../b",
        "http://h/%2e",
        "http://h:0",
        "http://h:99999",
        "http://h\\x",
        "http://h//x",
        "http://é",
        "unix://host/x",
        "unix:x.sock",
        "http://[::1",
    ],
)
def test_refuses_engine_urls_without_repeating_them(mistakes: Mistakes, url: str) -> None:
    (line,) = mistakes(f"engines: {{list: [{{name: a, kind: vllm, url: '{url}'}}]}}")
    assert "engines.list[0].url" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://h/", "http://h"),
        ("https://h:1/base/", "https://h:1/base"),
        ("unix:///run/e.sock", "unix:///run/e.sock"),
    ],
)
def test_normalises_engine_urls(settings: Load, url: str, kept: str) -> None:
    assert settings(f"engines: {{list: [{{name: a, kind: vllm, url: '{url}'}}]}}").engines.list[0].url == kept


class TestEnvironment:
    def test_fills_in_values_of_any_type(self, settings: Load) -> None:
        text = ENGINE % 'api_key: "${KEY}", concurrency: "${N}", model: "org/${M}-q4", timeouts: {gap: "${GAP}"}'
        engine = settings(text, {"KEY": "s3cret", "N": "4", "M": "7", "GAP": "2s"}).engines.list[0]
        assert engine.api_key is not None
        assert engine.api_key.reveal() == "s3cret"
        assert (engine.concurrency, engine.model, engine.timeouts.gap) == (4, "org/7-q4", 2.0)

    def test_a_value_cannot_add_keys(self, settings: Load) -> None:
        evil = "x\nadmin: {bind: 0.0.0.0:1}"
        assert settings("telemetry: {access_log: '/${X}'}", {"X": evil.replace("\n", " ")}).admin.bind.loopback

    def test_a_missing_variable_is_an_error(self, mistakes: Mistakes) -> None:
        (line,) = mistakes(ENGINE % 'api_key: "${NO_SUCH}"')
        assert line.endswith("environment variable NO_SUCH is not set")

    def test_a_broken_reference_is_an_error(self, mistakes: Mistakes) -> None:
        (line,) = mistakes(ENGINE % 'model: "${1x}"')
        assert "is no `${NAME}`" in line

    def test_a_doubled_dollar_is_literal(self, settings: Load) -> None:
        assert settings("telemetry: {access_log: '/a$${b}$c'}").telemetry.access_log == "/a${b}$c"

    def test_its_value_is_never_shown(self, mistakes: Mistakes) -> None:
        text = ENGINE % 'api_key: "${KEY}", concurrency: "${KEY}", timeouts: {gap: "${KEY}"}'
        lines = mistakes(text, {"KEY": "sk hunter2"})
        assert len(lines) == 3
        assert "hunter2" not in "".join(lines)
        assert all("${KEY}" in line for line in lines)


class TestSecrets:
    def test_come_from_a_file_beside_the_configuration(self, settings: Load, tmp_path: Path) -> None:
        (tmp_path / "a.key").write_text("s3cret\n")
        key = settings(ENGINE % "api_key_file: a.key").engines.list[0].api_key
        assert key is not None
        assert key.reveal() == "s3cret"

    def test_may_not_stand_in_the_file(self, mistakes: Mistakes) -> None:
        (line,) = mistakes(ENGINE % "api_key: hunter2")
        assert "may not stand in the configuration file" in line
        assert "hunter2" not in line
        (line,) = mistakes("stores: {database: 'postgresql://u:hunter2@h/d'}")
        assert "password" in line
        assert "hunter2" not in line

    @pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\r\nx-evil: 1", b"\xff\xfe", b"x" * 9000])
    def test_must_fit_a_header(self, mistakes: Mistakes, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.key").write_bytes(content)
        (line,) = mistakes(ENGINE % "api_key_file: a.key")
        assert "api_key_file: the file must hold" in line

    def test_an_unreadable_file_is_an_error(self, mistakes: Mistakes) -> None:
        (line,) = mistakes(ENGINE % "api_key_file: nope")
        assert line.endswith("api_key_file: the file cannot be read: No such file or directory")

    @pytest.mark.parametrize("order", ['api_key: "${K}", api_key_file: f', 'api_key_file: f, api_key: "${K}"'])
    def test_cannot_be_given_twice(self, mistakes: Mistakes, order: str) -> None:
        (line,) = mistakes(ENGINE % order, {"K": "x"})
        assert "stands beside `api_key`" in line

    def test_do_not_print(self) -> None:
        assert "hunter2" not in f"{Secret('hunter2')!r} {Secret('hunter2')}"


@UNHURRIED
@given(st.floats(0, 1e9).map(lambda x: round(x, 3)))
def test_durations_survive_the_round_trip(seconds: float) -> None:
    back = read_seconds(write_seconds(seconds))
    assert back == pytest.approx(seconds, rel=1e-5)


@UNHURRIED
@given(st.integers(0, 1 << 60))
def test_sizes_survive_the_round_trip(count: int) -> None:
    assert read_bytes(write_bytes(count)) == count
