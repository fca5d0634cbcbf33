"""Hypothesis strategies for the documents of the decision protocol, shared by the tests of its parts."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import strategies as st

from policies.call import Dialect, Operation
from policies.input import Counters, Instant, Place, PolicyInput, Shape, Wanted
from policies.json import JSON
from policies.names import canonical, is_name
from policies.obligations import NEVER_RECORDED, RECORDED, STRIPPABLE, Obligations, Priority
from policies.origin import Container
from policies.principal import Principal, Scope
from policies.result import Decision, Why

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 2**31)
FLAG = st.booleans()
LEAVES: st.SearchStrategy[JSON] = (
    st.none() | FLAG | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSONS: st.SearchStrategy[JSON] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)

NAMES = st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9._:/@+\-]{0,15}(:latest)?\Z").filter(is_name)
CANONICAL = NAMES.map(canonical).filter(is_name)
GLOBS = st.from_regex(r"\A(ai/|docker\.io/|hf\.co/)?[a-zA-Z0-9*?][a-zA-Z0-9._:/@+*?\-]{0,12}(:latest|:\*)?\Z")

PRINCIPALS = st.builds(
    Principal,
    id=TEXT,
    key_id=TEXT,
    name=TEXT,
    auth=st.sampled_from(["key", "jwt"]),
    groups=st.frozensets(TEXT, max_size=3),
    scopes=st.frozensets(st.sampled_from(Scope)),
    models=st.lists(GLOBS, max_size=3).map(tuple),
    networks=st.just((ip_network("10.0.0.0/8"),)) | st.just(()),
    listeners=st.frozensets(st.sampled_from(["local", "lan"])),
    expires_at=st.none() | st.floats(0, 2e9),
)
CONTAINER_NAMES = st.just("") | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,20}\Z")
CONTAINERS = st.builds(
    Container, name=CONTAINER_NAMES, network=CONTAINER_NAMES, stack=CONTAINER_NAMES, service=CONTAINER_NAMES
)
INPUTS = st.builds(
    PolicyInput,
    id=TEXT,
    principal=PRINCIPALS,
    place=st.builds(
        Place,
        ip=TEXT,
        networks=st.lists(TEXT).map(tuple),
        listener=TEXT,
        port=st.integers(0, 65535),
        tls=FLAG,
        container=CONTAINERS,
    ),
    operation=st.sampled_from(Operation),
    dialect=st.sampled_from(Dialect),
    method=TEXT,
    route=TEXT,
    time=st.builds(
        Instant,
        now_ns=st.integers(0, 2**62),
        iso=TEXT,
        hour=st.integers(0, 23),
        minute=st.integers(0, 59),
        weekday=st.integers(0, 6),
        tz=TEXT,
    ),
    model=st.builds(Wanted, requested=TEXT, resolved=CANONICAL | st.just(""), engine=TEXT),
    shape=st.builds(
        Shape,
        stream=FLAG,
        max_tokens=COUNT,
        n=COUNT,
        temperature=st.floats(-1, 10),
        tools=COUNT,
        tool_names=st.lists(TEXT, max_size=4).map(tuple),
        images=COUNT,
        audio=COUNT,
        messages=COUNT,
        input_chars=COUNT,
        response_format=TEXT,
        has_system=FLAG,
    ),
    models=st.lists(CANONICAL, max_size=4, unique=True).map(tuple),
    usage=st.builds(Counters, requests_min=COUNT, tokens_min=COUNT, tokens_day=COUNT, concurrent=COUNT),
)

WORDS = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,10}\Z")
HEADERS = st.dictionaries(
    st.from_regex(r"\Ax-h[a-z0-9-]{1,10}\Z"), st.from_regex(r"\A[!-~]([ -~]{0,10}[!-~])?\Z"), max_size=4
)
TOOLS = st.from_regex(r"\A[A-Za-z0-9_.-]{1,10}\Z")
OBLIGATIONS = st.builds(
    Obligations,
    max_tokens=st.none() | st.integers(1, 2**31),
    model=st.none() | CANONICAL,
    models=st.none() | st.frozensets(CANONICAL, max_size=4),
    rate_class=st.none() | WORDS,
    priority=st.none() | st.sampled_from(Priority),
    tools_allowed=st.none() | st.frozensets(TOOLS, max_size=4),
    strip=st.frozensets(st.sampled_from(sorted(STRIPPABLE)), max_size=4),
    capture=st.sampled_from(["none", "metadata", "full"]),
    redact=st.frozensets(st.sampled_from(sorted(RECORDED | NEVER_RECORDED)), max_size=4),
    timeout_s=st.none() | st.floats(0, 86_400, exclude_min=True),
    headers=HEADERS.map(lambda headers: tuple(sorted(headers.items()))),
    audit=FLAG,
)
REASONS = st.builds(Why, code=st.from_regex(r"\A[a-z0-9][a-z0-9_]{0,10}\Z"), message=TEXT, public=FLAG)
DECISIONS = st.builds(
    Decision,
    allow=st.just(value=True),
    reasons=st.lists(REASONS, max_size=3).map(
        lambda whys: tuple(sorted(whys, key=lambda why: (why.code, why.message)))
    ),
    obligations=OBLIGATIONS,
    grants=st.lists(TEXT, max_size=3).map(lambda grants: tuple(sorted(grants))),
    revision=TEXT,
)
