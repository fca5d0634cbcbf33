"""The kinds of scalar a setting can be: how each is read, shown again, and described in the schema.

One `Leaf` per kind, so that the decoder, `config show` and `config schema` cannot disagree about it. `read` raises
Wrong; messages say what the value must be and never repeat it when it came from the environment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeAlias

from edge.config.nodes import Scalar
from edge.config.problems import Wrong
from edge.config.values import Bind, Secret, read_bytes, read_seconds, write_bytes, write_seconds
from policies.json import JSON, Object

Read: TypeAlias = Callable[[Scalar, Path], object]
"""(scalar, folder that relative paths start from) -> value."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DURATION_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"
_SIZE_PATTERN: Final = r"^[0-9]+(B|KiB|MiB|GiB)$"
_FROM_ENV: Final[Object] = {"type": "string", "pattern": r"\$\{"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of scalar. `schema` is its JSON Schema; `secret` values are read from `${NAME}` or `KEY_file` only."""

    read: Read
    schema: Object
    show: Callable[[object], JSON] = str
    secret: bool = False


def text(pattern: str = "", words: str = "") -> Leaf:
    """A string, not empty, without control characters; `pattern` (whole match) is explained by `words`."""
    compiled = re.compile(pattern + r"\Z", re.ASCII) if pattern else None

    def read(scalar: Scalar, _: Path) -> str:
        value = scalar.value()
        if not isinstance(value, str) and not scalar.from_env:
            kind = "nothing" if value is None else "a number" if not isinstance(value, bool) else "true or false"
            raise Wrong(f"must be text, and YAML reads this as {kind}", f'"{scalar.text}"' if scalar.text else "")
        if not scalar.text or _CONTROL.search(scalar.text):
            raise Wrong("must not be empty or hold control characters")
        if compiled and not compiled.match(scalar.text):
            raise Wrong(words)
        return scalar.text

    limited: Object = {"type": "string", "pattern": f"^{pattern}$"} if pattern else {"type": "string", "minLength": 1}
    return Leaf(read, _or_env(limited) if pattern else limited)


def parsed(parse: Callable[[str], object], show: Callable[[object], JSON] = str, **schema: JSON) -> Leaf:
    """Text that `parse` turns into a value, raising Wrong."""
    plain_text = text()

    def read(scalar: Scalar, folder: Path) -> object:
        value = scalar.value()
        if isinstance(value, int) and not isinstance(value, bool):
            return parse(scalar.text)
        plain_text.read(scalar, folder)
        return parse(scalar.text)

    return Leaf(read, {"type": "string", "minLength": 1, **schema}, show)


def flag() -> Leaf:
    """true or false."""

    def read(scalar: Scalar, _: Path) -> bool:
        value = scalar.value()
        if isinstance(value, bool):
            return value
        meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
        low = scalar.text.lower()
        raise Wrong("must be true or false", meant.get(low, low if low in {"true", "false"} else ""))

    return Leaf(read, _or_env({"type": "boolean"}), bool)


def integer(minimum: int = 0, maximum: int | None = None) -> Leaf:
    """A whole number in decimal."""

    def read(scalar: Scalar, _: Path) -> int:
        value = scalar.value()
        if not isinstance(value, int) or isinstance(value, bool):
            raise Wrong("must be a whole number", _unquoted(scalar))
        _within(value, minimum, maximum, str)
        return value

    schema: Object = {"type": "integer", **_range(minimum, maximum)}
    return Leaf(read, _or_env(schema), _number)


def number(minimum: float = 0.0, maximum: float | None = None) -> Leaf:
    """A number."""

    def read(scalar: Scalar, _: Path) -> float:
        value = scalar.value()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong("must be a number", _unquoted(scalar))
        _within(float(value), minimum, maximum, lambda bound: f"{bound:g}")
        return float(value)

    return Leaf(read, _or_env({"type": "number", **_range(minimum, maximum)}), _number)


def seconds(minimum: float = 0.0, maximum: float | None = None) -> Leaf:
    """A duration: `250ms`, `30s`, `10m`, `1.5h`, `30d`, or a number of seconds."""

    def read(scalar: Scalar, _: Path) -> float:
        value = scalar.value()
        found = read_seconds(value) if isinstance(value, str) else value
        if found is None or isinstance(found, bool):
            raise Wrong("must be a duration (ms, s, m, h, d)", _number_in(scalar, "s"))
        _within(float(found), minimum, maximum, write_seconds)
        return float(found)

    return Leaf(read, _amount_schema("number", _DURATION_PATTERN, minimum, maximum), _show_seconds)


def size(minimum: int = 0, maximum: int | None = None) -> Leaf:
    """A number of bytes: `64KiB`, `16MiB`, `1GiB`, or a whole number."""

    def read(scalar: Scalar, _: Path) -> int:
        value = scalar.value()
        found = read_bytes(value) if isinstance(value, str) else value
        if not isinstance(found, int) or isinstance(found, bool):
            raise Wrong("must be a size (B, KiB, MiB, GiB; powers of 1024)", _number_in(scalar, "MiB"))
        _within(found, minimum, maximum, write_bytes)
        return found

    return Leaf(read, _amount_schema("integer", _SIZE_PATTERN, minimum, maximum), _show_bytes)


def choice(kind: type[Enum]) -> Leaf:
    """One of the values of a string Enum."""
    return one_of(tuple(str(member.value) for member in kind), kind)


def one_of(words: tuple[str, ...], make: Callable[[str], object] = str) -> Leaf:
    """One of a few words."""

    def read(scalar: Scalar, _: Path) -> object:
        if scalar.text in words:
            return make(scalar.text)
        raise Wrong(f"must be one of {', '.join(words)}", closest(scalar.text, words) if not scalar.from_env else "")

    return Leaf(read, _or_env({"enum": list(words)}), lambda value: str(getattr(value, "value", value)))


def path() -> Leaf:
    """A path; relative ones start at the folder of the configuration file, `~` is the home folder."""
    plain_text = text()

    def read(scalar: Scalar, folder: Path) -> Path:
        plain_text.read(scalar, folder)
        return folder / Path(scalar.text).expanduser()

    return Leaf(read, {"type": "string", "minLength": 1})


def secret() -> Leaf:
    """A credential: `${NAME}` here, or the name of a file under `KEY_file`; never the text itself."""

    def read(scalar: Scalar, _: Path) -> Secret:
        if not scalar.from_env:
            raise Wrong("a secret may not stand in the configuration file", "${NAME_OF_AN_ENVIRONMENT_VARIABLE}")
        return Secret.parse(scalar.text)

    return Leaf(read, dict(_FROM_ENV), lambda _: "***", secret=True)


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        wider = str(ip_network(word, strict=False))
    except ValueError:
        raise Wrong("must be a network in CIDR notation", "192.168.0.0/16") from None
    raise Wrong("has bits set behind the prefix", wider)


BIND: Final = parsed(Bind.parse)
NETWORK: Final = parsed(_network)


def closest(word: str, words: tuple[str, ...]) -> str:
    """The word that was probably meant, or ""."""
    from difflib import get_close_matches  # only for a mistake: it would cost every start 3 ms

    folded = {candidate.lower().replace("-", "_"): candidate for candidate in words}
    found = get_close_matches(word[:64].lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def _within(value: float, minimum: float, maximum: float | None, write: Callable[[int], str]) -> None:
    if value >= minimum and value <= (maximum if maximum is not None else sys.float_info.max):  # 1e999 is infinite
        return
    low = write(minimum)  # type: ignore[arg-type]  # float bounds come with float writers
    if maximum is None:
        raise Wrong(f"must be at least {low}", low)
    high = write(maximum)  # type: ignore[arg-type]
    raise Wrong(f"must be from {low} to {high}", low if value < minimum else high)


def _unquoted(scalar: Scalar) -> str:
    """The advice for a quoted number."""
    return scalar.text if not scalar.from_env and re.fullmatch(r"[0-9]{1,18}", scalar.text, re.ASCII) else ""


def _number_in(scalar: Scalar, unit: str) -> str:
    """The advice for an amount in a unit we do not read: its number in ours."""
    digits = re.match(r"\s*([0-9]{1,18})", scalar.text, re.ASCII)
    if scalar.from_env or not digits:
        return ""
    known = {"sec": "s", "min": "m", "hou": "h", "day": "d", "k": "KiB", "kb": "KiB", "m": "MiB", "mb": "MiB"}
    known |= {"mib": "MiB", "kib": "KiB", "g": "GiB", "gb": "GiB", "gib": "GiB"}
    rest = scalar.text[digits.end() :].strip().lower()
    meant = known.get(rest) or known.get(rest[:3]) or unit
    return digits[1] + (meant if (meant in {"KiB", "MiB", "GiB"}) == (unit == "MiB") else unit)


def _range(minimum: float, maximum: float | None) -> Object:
    bounds: Object = {"minimum": minimum}
    if maximum is not None:
        bounds["maximum"] = maximum
    return bounds


def _amount_schema(kind: str, pattern: str, minimum: float, maximum: float | None) -> Object:
    counted: Object = {"type": kind, **_range(minimum, maximum)}
    return {"anyOf": [counted, {"type": "string", "pattern": pattern}, dict(_FROM_ENV)]}


def _or_env(schema: Object) -> Object:
    return {"anyOf": [schema, dict(_FROM_ENV)]}


def _number(value: object) -> JSON:
    return value if isinstance(value, int | float) else None


def _show_seconds(value: object) -> JSON:
    return write_seconds(value) if isinstance(value, int | float) else None


def _show_bytes(value: object) -> JSON:
    return write_bytes(value) if isinstance(value, int) else None
