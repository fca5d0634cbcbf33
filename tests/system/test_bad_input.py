"""Bad input: each request here is refused with one constant 4xx, and the engine learns nothing of it.

The tables follow facts/security.md: F1 (paths), F2 (JSON differentials), 5.2 (what aiohttp's C parser still accepts),
3.3 (smuggling the decision), and the reference corpora it names (Http11Probe, nginx-tests, HAProxy's reg-tests).
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

import pytest

from policies.json import JSON
from tests.system.calls import ASKED, CHAT, assert_constant, chat
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import Wire, compose

CANARY = "canary-5f0c61e2"
_KEY = "Authorization: Bearer %KEY%"
_JSON = "Content-Type: application/json"


@dataclass(frozen=True, slots=True)
class Case:
    """A request (%KEY% stands for a valid key) and the statuses that may refuse it."""

    request: bytes
    statuses: tuple[int, ...] = (400,)


def _get(path: str, *lines: str) -> bytes:
    return compose("GET", path, _KEY, *lines)


def _raw(*lines: str, body: bytes = b"", first: str = f"POST {CHAT} HTTP/1.1") -> bytes:
    return "\r\n".join((first, *lines, "", "")).encode("latin-1") + body


def _body(body: bytes | str, *lines: str) -> Case:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return Case(compose("POST", CHAT, _KEY, *(lines or (_JSON,)), body=data))


def _with(**members: JSON) -> Case:
    return Case(compose("POST", CHAT, _KEY, body={**chat(CANARY), **members}))


_HOST = "Host: 127.0.0.1"
_GOOD = json.dumps(chat(CANARY)).encode()
_LENGTH = f"Content-Length: {len(_GOOD)}"
_NO_ROUTE = (400, 404)

PATHS: dict[str, Case] = {
    path: Case(_get(path), _NO_ROUTE)
    for path in (
        "/v1/../api/pull",
        "/v1/%2e%2e/api/pull",
        "/v1/%2E%2E/api/pull",
        "//api/pull",
        "//v1/models",
        "/v1//models",
        "/%76%31/models",
        "/v1/%6dodels",
        "/v1/models%00",
        "/v1/models%2f..%2f..%2fapi%2fpull",
        "/v1/models/../../api/pull",
        "/v1/models/..;/api/pull",
        "/v1/./models",
        "/v1/models/.",
        "/v1/models/",
        "/v1/models;a=b",
        "/v1\\models",
        "\\v1\\models",
        "/v1/models\\..\\..\\api\\pull",
        "/V1/models",
        "/v1/Models",
        "/v1",
        "/api",
        "/api/pull",
        "/api/delete",
        "/invocations",
        "/slots",
        "/metrics",
        "/readyz",
        "/engines/requests",
        "/engines/../../api/pull",
        "/healthz/x",
        "/v1/models#/../../api/pull",
        "/" + "a" * 300,
        f"/{CANARY}",
    )
} | {
    "absolute form of another host": Case(_get("http://evil.example/v1/models"), (400, 404, 421)),
    "absolute form of another scheme": Case(_get("gopher://127.0.0.1/v1/models"), _NO_ROUTE),
    "asterisk": Case(compose("OPTIONS", "*", _KEY), _NO_ROUTE),
    "authority": Case(compose("CONNECT", "127.0.0.1:22", _KEY), _NO_ROUTE),
    "no leading slash": Case(_get("v1/models"), _NO_ROUTE),
    "raw UTF-8": Case(_get("/v1/mod\xc3\xa9ls"), _NO_ROUTE),
    "overlong slash": Case(_get("/v1\xc0\xaf..\xc0\xafapi"), _NO_ROUTE),
    "target of 9 KiB": Case(_get("/v1/models?" + "a" * 9000), (400, 414)),
}

METHODS: dict[str, Case] = {
    f"{method} {path}": Case(compose(method, path, _KEY), (400, 404, 405))
    for method, path in (
        ("GET", CHAT),
        ("PUT", CHAT),
        ("DELETE", "/v1/models"),
        ("PATCH", "/v1/models"),
        ("OPTIONS", CHAT),
        ("TRACE", "/v1/models"),
        ("PURGE", "/v1/models"),
        ("get", "/v1/models"),
        ("QUERY", "/v1/models"),
        ("POST", "/v1/models"),
    )
}

WIRE: dict[str, Case] = {
    "no Host": Case(_raw(_KEY, _JSON, _LENGTH, body=_GOOD)),
    "two Hosts": Case(_raw(_HOST, _HOST, _KEY, _JSON, _LENGTH, body=_GOOD)),
    "empty Host": Case(_raw("Host:", _KEY, _JSON, _LENGTH, body=_GOOD), (400, 421)),
    "another Host": Case(_raw("Host: evil.example", _KEY, _JSON, _LENGTH, body=_GOOD), (421,)),
    "Host with userinfo": Case(_raw("Host: a@127.0.0.1", _KEY, _JSON, _LENGTH, body=_GOOD), (400, 421)),
    "Host with a path": Case(_raw("Host: 127.0.0.1/v1", _KEY, _JSON, _LENGTH, body=_GOOD), (400, 421)),
    "Host list": Case(_raw("Host: 127.0.0.1, evil.example", _KEY, _JSON, _LENGTH, body=_GOOD), (400, 421)),
    "two equal lengths": Case(_raw(_HOST, _KEY, _JSON, _LENGTH, _LENGTH, body=_GOOD)),
    "two lengths": Case(_raw(_HOST, _KEY, _JSON, "Content-Length: 1", _LENGTH, body=_GOOD)),
    "length list": Case(_raw(_HOST, _KEY, _JSON, f"{_LENGTH}, {len(_GOOD)}", body=_GOOD)),
    "length +": Case(_raw(_HOST, _KEY, _JSON, f"Content-Length: +{len(_GOOD)}", body=_GOOD)),
    "length -": Case(_raw(_HOST, _KEY, _JSON, "Content-Length: -1", body=_GOOD)),
    "length 0x": Case(_raw(_HOST, _KEY, _JSON, f"Content-Length: {len(_GOOD):#x}", body=_GOOD)),
    "length leading zero": Case(_raw(_HOST, _KEY, _JSON, f"Content-Length: 0{len(_GOOD)}", body=_GOOD)),
    "length of 30 digits": Case(_raw(_HOST, _KEY, _JSON, "Content-Length: " + "9" * 30, body=_GOOD), (400, 413)),
    "length empty": Case(_raw(_HOST, _KEY, _JSON, "Content-Length:", body=_GOOD)),
    "length and chunked": Case(_raw(_HOST, _KEY, _JSON, _LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    **{
        f"transfer encoding {coding!r}": Case(
            _raw(_HOST, _KEY, _JSON, f"Transfer-Encoding:{coding}", body=b"0\r\n\r\n"), (400, 415, 501)
        )
        for coding in (" gzip, chunked", " identity", " xchunked", " chunked, chunked", "", " chunked, gzip")
    },
    "two transfer encodings": Case(
        _raw(_HOST, _KEY, _JSON, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    ),
    "chunked in HTTP/1.0": Case(
        _raw(_HOST, _KEY, _JSON, "Transfer-Encoding: chunked", first=f"POST {CHAT} HTTP/1.0", body=b"0\r\n\r\n")
    ),
    "bad chunk size": Case(_raw(_HOST, _KEY, _JSON, "Transfer-Encoding: chunked", body=b"zz\r\nab\r\n0\r\n\r\n")),
    "negative chunk size": Case(_raw(_HOST, _KEY, _JSON, "Transfer-Encoding: chunked", body=b"-2\r\nab\r\n0\r\n\r\n")),
    "chunk without CRLF": Case(_raw(_HOST, _KEY, _JSON, "Transfer-Encoding: chunked", body=b"2\r\nabcd\r\n0\r\n\r\n")),
    "space before colon": Case(_raw(_HOST, _KEY, _JSON, f"Content-Length : {len(_GOOD)}", body=_GOOD)),
    "folded header": Case(_raw(_HOST, _KEY, _JSON, "X-A: b", f" {CANARY}", _LENGTH, body=_GOOD)),
    "leading space": Case(_raw(" Host: 127.0.0.1", _KEY, _JSON, _LENGTH, body=_GOOD)),
    "header without a colon": Case(_raw(_HOST, _KEY, _JSON, CANARY, _LENGTH, body=_GOOD)),
    "header without a name": Case(_raw(_HOST, _KEY, _JSON, ": x", _LENGTH, body=_GOOD)),
    "NUL in a value": Case(_raw(_HOST, _KEY, _JSON, f"X-A: {CANARY}\0", _LENGTH, body=_GOOD)),
    "control character in a value": Case(_raw(_HOST, _KEY, _JSON, f"X-A: {CANARY}\x01", _LENGTH, body=_GOOD)),
    "bare CR in a value": Case(_raw(_HOST, _KEY, _JSON, "X-A: a\rX-B: b", _LENGTH, body=_GOOD)),
    "bad header name": Case(_raw(_HOST, _KEY, _JSON, f"X({CANARY}): a", _LENGTH, body=_GOOD)),
    "underscore twin of a header": Case(_get("/v1/models", "X_Forwarded_User: admin")),
    "Connection names Host": Case(_get("/v1/models", "Connection: close, Host, Authorization")),
    "header of 9 KiB": Case(_get("/v1/models", "X-Long: " + "a" * 9000), (400, 431)),
    "200 headers": Case(_get("/v1/models", *(f"X-{i}: a" for i in range(200))), (400, 431)),
    "unknown version": Case(_raw(_HOST, _KEY, first="GET /v1/models HTTP/3.0"), (400, 505)),
    "no version": Case(_raw(_HOST, _KEY, first="GET /v1/models")),
    "two spaces": Case(_raw(_HOST, _KEY, first="GET  /v1/models HTTP/1.1")),
    "space in the target": Case(_raw(_HOST, _KEY, first=f"GET /v1/models {CANARY} HTTP/1.1")),
    "HTTP/2 preface": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 404, 505)),
    "TLS hello": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n"),
    "another expectation": Case(_raw(_HOST, _KEY, _JSON, "Expect: 200-ok", _LENGTH, body=_GOOD), (400, 417)),
}

_TEXTS: dict[str, str | bytes] = {
    "empty": b"",
    "white space": "  \n",
    "array": "[]",
    "string": '"model"',
    "number": "5",
    "null": "null",
    "duplicate key": f'{{"model":"{ASKED}","model":"forbidden","messages":[{{"role":"user","content":"x"}}]}}',
    "case collision": f'{{"model":"{ASKED}","MODEL":"forbidden","messages":[{{"role":"user","content":"x"}}]}}',
    "Kelvin sign": json.dumps(chat())[:-1] + ',"max_to\u212aens":5,"max_tokens":5}',
    "long s": json.dumps(chat())[:-1] + ',"\u017ftream":true,"stream":false}',
    "escaped duplicate": json.dumps(chat())[:-1] + ',"\\u006dodel":"forbidden"}',
    "nested duplicate": f'{{"model":"{ASKED}","messages":[{{"role":"user","content":"a","content":"b"}}]}}',
    "second document": json.dumps(chat()) + json.dumps(chat("b")),
    "garbage after": json.dumps(chat()) + CANARY,
    "NaN": json.dumps(chat())[:-1] + ',"temperature":NaN}',
    "Infinity": json.dumps(chat())[:-1] + ',"temperature":Infinity}',
    "1e999": json.dumps(chat())[:-1] + ',"temperature":1e999}',
    "number of 5,000 digits": json.dumps(chat())[:-1] + ',"seed":' + "9" * 5000 + "}",
    "UTF-16": json.dumps(chat()).encode("utf-16"),
    "UTF-32": json.dumps(chat()).encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
    "invalid UTF-8": json.dumps(chat("X")).encode().replace(b"X", b"\xff\xfe"),
    "overlong UTF-8": json.dumps(chat("X")).encode().replace(b"X", b"\xc0\xaf"),
    "encoded surrogate": json.dumps(chat("X")).replace("X", "\ud800"),
    "escaped lone surrogate": json.dumps(chat("X")).replace("X", "\\ud800"),
    "raw control character": json.dumps(chat("X")).replace("X", "\x01"),
    "single quotes": json.dumps(chat()).replace('"', "'"),
    "comment": json.dumps(chat())[:-1] + "/* x */}",
    "trailing comma": json.dumps(chat())[:-1] + ",}",
    "leading zero": json.dumps(chat())[:-1] + ',"seed":01}',
    "cut short": json.dumps(chat())[:-5],
    "nested 100,000 deep": "[" * 100_000,
    "nested 500 deep": json.dumps(chat())[:-1] + ',"tools":' + "[" * 500 + "]" * 500 + "}",
    "300,000 nodes": json.dumps(chat())[:-1] + ',"tools":[' + "{}," * 300_000 + "{}]}",
}
JSON_BODIES: dict[str, Case] = {name: _body(text) for name, text in _TEXTS.items()}

_MODELS: tuple[JSON, ...] = (None, 5, "", True, ["a"], {"a": 1})
_MESSAGES: tuple[JSON, ...] = (None, "hi", 5, {}, ["hi"], [[]], [5])
_LIMITS: tuple[JSON, ...] = (-1, 1.5, "5", True, [1])
_COUNTS: tuple[JSON, ...] = (0, -1, 100_000, "2")
_SWITCHES: tuple[JSON, ...] = ("yes", 1, [])

PARAMETERS: dict[str, Case] = {
    "no model": Case(compose("POST", CHAT, _KEY, body={"messages": chat()["messages"]})),
    "no messages": Case(compose("POST", CHAT, _KEY, body={"model": ASKED})),
    **{f"model {value!r:.20}": _with(model=value) for value in _MODELS},
    "model of 300": Case(_with(model="m" * 300).request, (400, 403)),
    "model with dots": Case(_with(model="../../etc/passwd").request, (400, 403)),
    "model with a line break": Case(_with(model=f"{ASKED}\r\nX-Evil: {CANARY}").request, (400, 403)),
    **{f"messages {value!r:.20}": _with(messages=value) for value in _MESSAGES},
    "role number": _with(messages=[{"role": 5, "content": "x"}]),
    **{f"max_tokens {value!r}": _with(max_tokens=value) for value in _LIMITS},
    **{f"n {value!r}": _with(n=value) for value in _COUNTS},
    **{f"stream {value!r}": _with(stream=value) for value in _SWITCHES},
    "temperature text": _with(temperature="hot"),
    "top_p text": _with(top_p="all"),
    "tools text": _with(tools="all"),
    "stream_options text": _with(stream=True, stream_options="usage"),
}

MEDIA: dict[str, Case] = {
    name: Case(compose("POST", CHAT, _KEY, *lines, body=body), (415,))
    for name, (lines, body) in {
        "no content type": ((), _GOOD),
        "text/plain": (("Content-Type: text/plain",), _GOOD),
        "form": (("Content-Type: application/x-www-form-urlencoded",), b"model=a"),
        "multipart": (("Content-Type: multipart/form-data; boundary=a",), b"--a--"),
        "UTF-16 charset": (("Content-Type: application/json; charset=utf-16",), _GOOD),
        "gzip": ((_JSON, "Content-Encoding: gzip"), gzip.compress(_GOOD)),
        "x-gzip": ((_JSON, "Content-Encoding: x-gzip"), gzip.compress(_GOOD)),
        "deflate": ((_JSON, "Content-Encoding: deflate"), _GOOD),
        "zstd": ((_JSON, "Content-Encoding: zstd"), _GOOD),
        "gzip twice": ((_JSON, "Content-Encoding: gzip, gzip"), gzip.compress(gzip.compress(_GOOD))),
    }.items()
}

SIZES: dict[str, Case] = {
    "length of 1 GiB": Case(_raw(_HOST, _KEY, _JSON, "Content-Length: 1073741824"), (413,)),
    "length of 1 GiB, 100-continue": Case(
        _raw(_HOST, _KEY, _JSON, "Content-Length: 1073741824", "Expect: 100-continue"), (413,)
    ),
}

CASES = {
    f"{kind}: {name}": case
    for kind, table in {
        "path": PATHS,
        "method": METHODS,
        "wire": WIRE,
        "json": JSON_BODIES,
        "parameter": PARAMETERS,
        "media": MEDIA,
        "size": SIZES,
    }.items()
    for name, case in table.items()
}


def test_battery_is_a_battery() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_bad_request_is_refused_and_engine_sees_nothing(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    case = CASES[name]
    with gateway.open() as wire:
        wire.send(case.request.replace(b"%KEY%", key.secret.encode()))
        answer = wire.answer()
    assert answer.status in case.statuses, answer.raw
    assert_constant(answer, CANARY, key.secret, "aiohttp", "Python/", "Traceback")
    assert engine.requests == []


def test_method_that_has_no_body_in_its_answer_gets_none(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    with gateway.open() as wire:
        wire.send(compose("HEAD", "/v1/models", key.bearer))
        assert wire.head().status in {400, 404, 405}
        wire.half_close()
        assert wire.until_eof() == b""
    assert engine.requests == []


def test_refused_upload_is_not_swallowed(gateway: Gateway, key: Key) -> None:
    """F4: aiohttp took 8.6 GiB in 10 s after a 401; we take what the kernel had buffered and close."""
    with gateway.open() as wire:
        wire.send(_raw(_HOST, _JSON, "Content-Length: 8589934592"))
        taken = wire.send_until_closed(b"a" * 65536, times=1024)
        assert taken < 32 << 20, "the gateway went on reading a refused upload"


def test_nothing_is_accepted_on_a_connection_after_a_wire_error(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    smuggled = compose("POST", CHAT, key.bearer, body=chat())
    with gateway.open() as wire:
        wire.send(WIRE["length and chunked"].request.replace(b"%KEY%", key.secret.encode()) + smuggled)
        assert wire.answer().status == 400
        assert wire.closed()
    assert engine.requests == []


def test_pipelined_requests_do_not_reach_the_engine_together(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    """F3: one outstanding request per connection, else a leaving caller goes unnoticed."""
    request = compose("POST", CHAT, key.bearer, body=chat())
    with gateway.open() as wire:
        wire.send(request * 20)
        _drain(wire)
    assert len(engine.requests) <= 1


def _drain(wire: Wire) -> None:
    try:
        wire.until_eof()
    except ConnectionResetError:
        return


def test_good_requests_still_work_in_every_accepted_spelling(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    """The counterpart of the battery: strictness must not cost a legitimate caller anything."""
    body = json.dumps(chat("ünïcode 😀")).encode()
    spellings = (
        compose("POST", CHAT, key.bearer, "Content-Type: application/json; charset=utf-8", body=body),
        compose("POST", CHAT, key.bearer, "Content-Type: Application/JSON", body=body),
        compose("POST", CHAT, f"authorization: bearer {key.secret}", body=chat()),
        compose("POST", CHAT, f"x-api-key: {key.secret}", body=chat()),
        compose("POST", CHAT, key.bearer, f"x-api-key: {key.secret}", body=chat()),
        compose("POST", CHAT, key.bearer, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", body=chat()),
        compose("POST", CHAT + "?beta=true", key.bearer, body=chat()),
        compose("POST", "/engines/v1/chat/completions", key.bearer, body=chat()),
        compose("POST", CHAT, key.bearer, body=chat(), host="localhost"),
        _raw(_HOST, key.bearer, _JSON, "Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
        _raw(_HOST, key.bearer, _JSON, f"Content-Length: {len(body)}", body=body, first=f"POST {CHAT} HTTP/1.0"),
    )
    for spelling in spellings:
        with gateway.open() as wire:
            answer = wire.ask(spelling)
            assert answer.status == 200, (spelling, answer.raw)
    assert len(engine.requests) == len(spellings)


def test_continue_is_said_only_to_those_who_may(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """F7: `100 Continue` invites an upload, so identity and size come first."""
    lines = (_HOST, _JSON, _LENGTH, "Expect: 100-continue")
    with gateway.open() as wire:
        wire.send(_raw(*lines))
        assert wire.head().status == 401
    with gateway.open() as wire:
        wire.send(_raw(*lines, key.bearer))
        assert wire.head().status == 100
        wire.send(_GOOD)
        assert wire.head().status == 200
    assert len(engine.requests) == 1
