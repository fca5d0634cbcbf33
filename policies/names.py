"""Canonical model names, so that an alias can never walk round a rule.

Docker Model Runner adds `ai/` and `:latest`, lower-cases the repository and maps `hf.co/` to `huggingface.co/`
(facts/engines.md 1.5); Ollama treats `llama3`, `LLAMA3`, `llama3:latest` and `registry.ollama.ai/library/llama3` as one
model. A rule is only ever matched against a canonical name; an image's id (`sha256:...`) is one only where an engine
lists it as such (`engines/catalogue.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_NAME = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+\-]*\Z", re.ASCII)
_LATEST = ":latest"
_PREFIXES = (
    "docker.io/ai/",
    "index.docker.io/ai/",
    "registry.ollama.ai/library/",
    "docker.io/",
    "registry.ollama.ai/",
    "library/",
    "ai/",
)


def is_name(text: str) -> bool:
    """Whether `text` can be a model's name at all: ASCII, no spaces or control characters, <= 256 long, no `..`."""
    return len(text) <= MAX_NAME and bool(_NAME.match(text)) and ".." not in text and "//" not in text


def canonical(name: str) -> str:
    """The one spelling of `name` that rules and look-ups use: lower case, registry defaults removed; idempotent.

    `ai/SmolLM2:latest` -> `smollm2`, `hf.co/Org/Repo` -> `huggingface.co/org/repo`, `llama3:latest` -> `llama3`.
    Two models of one engine that fall onto one canonical name are ambiguous, and the catalogue refuses both.
    """
    return _strip(name)[0]


def bare(name: str) -> str:
    """`name` in the caller's letters, without what `canonical` removes: what may be asked of an engine whose registry
    tells `Q4_K_M` from `q4_k_m`, and where `ai/` would be somebody's name.

    `ai/Llama3.2:3B-Q4_K_M` -> `Llama3.2:3B-Q4_K_M`. For names (`is_name`): `canonical` of it is that of `name`.
    """
    return _cut(name)[0]


@lru_cache(maxsize=4096)
def _strip(name: str) -> tuple[str, bool, bool]:
    """The canonical spelling, and whether a registry prefix, and whether `:latest`, was removed on the way."""
    text, prefixed, tagged = _cut(name.strip().lower())
    if text.startswith("hf.co/"):
        text = "huggingface.co/" + text[len("hf.co/") :]
    return text, prefixed, tagged


def _cut(text: str) -> tuple[str, bool, bool]:
    prefixed = tagged = False
    while True:
        folded = text.lower()
        prefix = next((p for p in _PREFIXES if folded.startswith(p) and len(text) > len(p)), "")
        rest = text[len(prefix) :]
        shorter = rest[: -len(_LATEST)] if rest.lower().endswith(_LATEST) else rest
        if not shorter or shorter == text:
            return text, prefixed, tagged
        text, prefixed, tagged = shorter, prefixed or bool(prefix), tagged or shorter != rest


@lru_cache(maxsize=4096)
def expression(pattern: str) -> str:
    """Glob `pattern` as a regular expression that RE2 (OPA), Rust's regex (regorus) and Python read alike.

    Anchored at both ends and linear. It is what policies match with, so that there is one meaning of a glob.
    """
    # Neither `ai/*` nor `*:latest` may turn into `*`: once a prefix is gone, a wildcard stays within the registry's
    # default namespace, and once `:latest` is gone, within names without a tag.
    text, prefixed, tagged = _strip(pattern)
    outside = ("/" if prefixed else "") + (":" if tagged else "")
    one = f"[^{outside}]" if outside else "."
    parts = [one + "*" if c == "*" else one if c == "?" else re.escape(c) for c in text]
    return f"^{''.join(parts)}$"


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(expression(pattern), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether glob `pattern` (`*` any run, `?` one character; `:` is ordinary) covers canonical `name`."""
    return _glob(pattern).fullmatch(name) is not None
