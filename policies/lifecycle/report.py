"""What a replay found, in bounded memory whatever was replayed, as a document for programs and as text for people."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from policies.engine import PolicyFault
from policies.json import JSON, Object, as_object, as_str
from policies.lifecycle.replay import Flip, Kind, Skip, Verdict, compare, skipped, verdict
from policies.lifecycle.text import clean, words
from policies.record import Record

_EXAMPLES: Final = 5
_CODES: Final = 200
_NAMES: Final = 1_000
_TOP: Final = 5
_OTHERS: Final = "(others)"


@dataclass(slots=True)
class Bucket:
    """Flips of one kind and reason code: how many, whose, of which models, and the newest of them."""

    count: int = 0
    callers: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    _newest: list[tuple[float, int, Flip]] = field(default_factory=list)

    def add(self, flip: Flip) -> None:
        self.count += 1
        _tally(self.callers, _text(flip.record, "caller", "id"))
        _tally(self.models, _text(flip.record, "model", "resolved") or _text(flip.record, "model", "requested"))
        heapq.heappush(self._newest, (flip.record.at, self.count, flip))
        if len(self._newest) > _EXAMPLES:
            heapq.heappop(self._newest)

    @property
    def examples(self) -> list[Flip]:
        """The newest flips, newest first."""
        return [flip for _, _, flip in sorted(self._newest, key=lambda item: item[:2], reverse=True)]


@dataclass(slots=True)
class Report:
    """Feed it every record with the answer of the candidate: `add`. Then look at it, or render it.

    `compared` = `same` + all flips. `kinds` counts flips by kind, `codes` by kind and reason code (a flip with two
    reasons stands under both), `obligations` by kind of change. `errors` counts answers that are no decision.
    """

    compared: int = 0
    same: int = 0
    errors: int = 0
    first: float | None = None
    last: float | None = None
    skipped: Counter[Skip] = field(default_factory=Counter)
    revisions: Counter[str] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    codes: dict[Kind, dict[str, Bucket]] = field(default_factory=dict)
    obligations: Counter[str] = field(default_factory=Counter)
    error_texts: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record, after: JSON | PolicyFault) -> Flip | None:
        """Compare one more; returns its flip."""
        why = skipped(record)
        if why is not None:
            self.skipped[why] += 1
            return None
        self.compared += 1
        self.first = record.at if self.first is None else min(self.first, record.at)
        self.last = record.at if self.last is None else max(self.last, record.at)
        _tally(self.revisions, record.revision)
        error = verdict(after).error
        if error:
            self.errors += 1
            _tally(self.error_texts, error)
        flip = compare(record, after)
        if flip is None:
            self.same += 1
        else:
            self._count(flip)
        return flip

    def skip(self, record: Record) -> bool:
        """Count `record` and return True if it is not compared: then nobody needs to be asked about it."""
        why = skipped(record)
        if why is not None:
            self.skipped[why] += 1
        return why is not None

    def _count(self, flip: Flip) -> None:
        self.kinds[flip.kind] += 1
        for name in flip.obligations:
            self.obligations[name] += 1
        buckets = self.codes.setdefault(flip.kind, {})
        names = flip.obligations if flip.kind is Kind.OBLIGATIONS else flip.codes
        for name in names:
            buckets.setdefault(name if name in buckets or len(buckets) < _CODES else _OTHERS, Bucket()).add(flip)

    @property
    def flips(self) -> int:
        """Decisions that would have been others."""
        return self.kinds.total()

    @property
    def opened(self) -> int:
        """Decisions that would newly be a yes: with any of them, `apply` asks twice."""
        return self.kinds[Kind.OPENED]

    @property
    def closed(self) -> int:
        """Decisions that would newly be a no."""
        return self.kinds[Kind.CLOSED]


class Masker:
    """Gives identifiers numbers, the same one to the same identifier throughout one document."""

    def __init__(self, *, mask: bool) -> None:
        self.masks = mask
        self._numbers: dict[tuple[str, str], int] = {}

    def __call__(self, what: str, text: str) -> str:
        """`text`, or `caller-1` in its place."""
        if not self.masks or not text:
            return text
        return f"{what}-{self._numbers.setdefault((what, text), len(self._numbers) + 1)}"


def report_document(report: Report, *, mask_identifiers: bool = False) -> Object:
    """The report as JSON. Masked, callers, keys and addresses are numbers: for those who may not see who did what."""
    masker = Masker(mask=mask_identifiers)
    flips: Object = {
        kind.value: {
            "count": report.kinds[kind],
            "by": {code: _bucket(bucket, masker) for code, bucket in sorted(report.codes.get(kind, {}).items())},
        }
        for kind in Kind
    }
    return {
        "compared": report.compared,
        "same": report.same,
        "flips": flips,
        "obligations": _counts(report.obligations),
        "errors": report.errors,
        "error_texts": {} if mask_identifiers else _counts(report.error_texts, _TOP),
        "skipped": {why.name.lower(): report.skipped[why] for why in Skip},
        "revisions": _counts(report.revisions, _TOP),
        "first": report.first,
        "last": report.last,
    }


def _bucket(bucket: Bucket, masker: Masker) -> Object:
    callers: Object = {masker("caller", name): count for name, count in bucket.callers.most_common(_TOP)}
    examples: list[JSON] = [_example(flip, masker) for flip in bucket.examples]
    return {
        "count": bucket.count,
        "callers": callers,
        "models": _counts(bucket.models, _TOP),
        "examples": examples,
    }


def _example(flip: Flip, masker: Masker) -> Object:
    record = flip.record
    return {
        "id": record.id,
        "at": record.at,
        "caller": masker("caller", _text(record, "caller", "id")),
        "key": masker("key", _text(record, "key", "id")),
        "ip": masker("ip", _text(record, "source", "ip")),
        "listener": _text(record, "listener", "name"),
        "operation": as_str(record.input.get("operation")),
        "model": _text(record, "model", "resolved") or _text(record, "model", "requested"),
        "before": _said(flip, flip.before, masker),
        "after": _said(flip, flip.after, masker),
    }


def _said(flip: Flip, said: Verdict, masker: Masker) -> Object:
    codes: list[JSON] = list(said.codes)
    obligations: Object = {name: said.obligations.get(name) for name in flip.obligations}
    document: Object = {"allow": said.allow, "codes": codes, "obligations": obligations, "grants": list(said.grants)}
    if said.error and not masker.masks:  # an engine's error may quote the input
        document["error"] = said.error
    return document


def render(report: Report, *, mask_identifiers: bool = False) -> str:
    """The report for a terminal: what opens first."""
    document = report_document(report, mask_identifiers=mask_identifiers)
    lines = [f"{report.compared} decisions compared: {report.same} the same, {report.flips} would be others"]
    for kind in Kind:
        for code, bucket in as_object(as_object(as_object(document["flips"])[kind.value])["by"]).items():
            lines += _paragraph(kind, code, as_object(bucket))
    if report.errors:
        lines.append(f"errors: {report.errors} answers are no decision ({words(document['error_texts'])})")
    lines += [f"not compared: {count} ({why})" for why, count in sorted(report.skipped.items())]
    return "\n".join(lines) + "\n"


def _paragraph(kind: Kind, code: str, bucket: Object) -> list[str]:
    lines = [
        f"{kind}  {code}: {words(bucket['count'])}",
        f"    callers {words(bucket['callers'])}; models {words(bucket['models'])}",
    ]
    examples = bucket["examples"]
    for example in map(as_object, examples if isinstance(examples, list) else []):
        before, after = as_object(example["before"]), as_object(example["after"])
        lines.append(
            f"    {clean(as_str(example['id']))}: {words(example['caller'])} {words(example['operation'])} "
            f"{words(example['model'])}: {_short(before)} -> {_short(after)}"
        )
    return lines


def _short(said: Object) -> str:
    text = "allow" if said["allow"] else f"deny ({words(said['codes'])})"
    return text + (f" [{words(said['obligations'])}]" if said["obligations"] else "")


def _counts(counter: Counter[str], most: int | None = None) -> Object:
    return dict(counter.most_common(most))


def _tally(counter: Counter[str], name: str) -> None:
    """Count `name`; past a bound all new ones are one, so that callers cannot fill the memory."""
    counter[name if name in counter or len(counter) < _NAMES else _OTHERS] += 1


def _text(record: Record, section: str, name: str) -> str:
    return as_str(as_object(record.input.get(section)).get(name))
