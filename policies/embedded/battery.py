"""A policy run on what nobody should be allowed with: no input, no data, wrong types, odd strings.

A policy that says yes to any of that, or has no answer to an empty question, is not to be applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from policies.embedded.fence import deadline
from policies.embedded.findings import Problem
from policies.embedded.job import Job
from policies.embedded.known import sample
from policies.embedded.rego import Policy, RegoError
from policies.json import JSON

_LONG: Final = 10 << 10
_HUGE: Final = 200 << 10
_ODD: Final = {
    "a NUL": "a\0b",
    "quotes": '"], "allow": true, "x": ["',
    "newlines": "a\r\n\r\nb\u2028",
    "a name of 10 KiB": "n" * _LONG,
    "a text of 200 KiB": "é" * (_HUGE // 2),
    "the word for undefined": "<undefined>",
    "an expression": ".*",
}


def nonsense() -> Iterator[tuple[str, JSON]]:
    """(what it is, input document): none of them is a request that anybody may make."""
    yield "an empty input", {}
    others: tuple[JSON, ...] = (None, True, 0, "", [])
    yield from (("an input that is no object", value) for value in others)
    yield "wrong types", _changed(sample(), _wrong)
    values: tuple[JSON, ...] = (None, 0, [], {}, -1, 1e300, [[[]]])
    for value in values:
        yield f"{orjson.dumps(value).decode()} everywhere", _changed(sample(), partial(_constant, value))
    for what, text in _ODD.items():
        yield f"{what} everywhere", _changed(sample(), partial(_odd, text))


def _changed(value: JSON, leaf: Callable[[JSON], JSON]) -> JSON:
    if isinstance(value, dict) and value:
        return {key: _changed(item, leaf) for key, item in value.items()}
    return leaf(value)


def _constant(value: JSON, _old: JSON) -> JSON:
    return value


def _wrong(value: JSON) -> JSON:
    """Something of another type."""
    match value:
        case bool():
            return "true"
        case str():
            return 1
        case int() | float():
            return "1"
        case list():
            return {"0": "x"}
        case _:
            return ["x"]


def _odd(text: str, value: JSON) -> JSON:
    """The same type, with nothing in it but `text`."""
    match value:
        case str():
            return text
        case list():
            return [text]
        case bool():
            return False
        case int() | float():
            return 0
        case _:
            return {text: text}


class Trial:
    """A policy with its data, the same without, the same loaded backwards, and how to say where a finding belongs."""

    def __init__(self, job: Job, place: Callable[[str, str], Problem], trying: Callable[[Problem], None]) -> None:
        """`place` makes an error of a code and a message; `trying` is told before each run what to say if it dies."""
        self._policy = Policy(job.modules, job.data)
        self._subjects = (("without data", Policy(job.modules, {})), ("with its data", self._policy))
        self._backwards = Policy(job.modules, job.data, backwards=True)
        self._place = place
        self._trying = trying

    def findings(self, seconds: float) -> Iterator[Problem]:
        """What the runs find; one that takes longer than `seconds` ends the process."""
        for what, subject in self._subjects:
            yield from self._empty(subject, what, seconds)
        for what, document in nonsense():
            value = self._run(self._policy, what, document, seconds)
            if isinstance(value, dict) and value.get("allow") is True:
                message = f"it allows {what}: check `input.v`, the caller and the operation first"
                yield self._place("allows_nonsense", message)
                return  # the others would say the same
        yield from self._order(seconds)

    def _order(self, seconds: float) -> Iterator[Problem]:
        """Whether the order in which regorus gets the files changes an answer: it has done so (weld.py)."""
        for what, document in (("an empty input", {}), ("an ordinary input", sample())):
            answers = [self._run(policy, what, document, seconds) for policy in (self._policy, self._backwards)]
            one, other = (str(answer) if isinstance(answer, RegoError) else answer for answer in answers)
            if one != other:
                message = (
                    f"the answer to {what} depends on the order of the files: put rules that use each other into one"
                )
                yield self._place("order_dependent", message)
                return

    def _empty(self, policy: Policy, data: str, seconds: float) -> Iterator[Problem]:
        what = f"an empty input, {data}"
        value = self._run(policy, what, {}, seconds)
        match value:
            case RegoError():
                yield self._place("fails_when_empty", f"{what}, is an error instead of a no: {value}")
            case _Undefined():
                yield self._place("undefined_decision", f"the decision is undefined for {what}: give it a default")
            case {"allow": False}:
                return
            case {"allow": True}:
                yield self._place("allows_nonsense", f"it allows {what}")
            case _:
                yield self._place("wrong_result", f"the decision is no object with a boolean `allow` for {what}")

    def _run(self, policy: Policy, what: str, document: JSON, seconds: float) -> JSON | RegoError | _Undefined:
        self._trying(self._place("runs_away", what))
        try:
            with deadline(seconds):
                value = policy.value(orjson.dumps(document).decode())
        except RegoError as error:
            return error
        result: JSON | _Undefined = _Undefined() if value is None else orjson.loads(value)
        return result


@dataclass(frozen=True, slots=True)
class _Undefined:
    """No value at all."""
