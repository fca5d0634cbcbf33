"""What two policies differ in: files as unified diffs, data path by path, grants by their id."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from policies.bundle import Bundle
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.lifecycle.text import clean, words

What: TypeAlias = Literal["added", "removed", "changed"]
_SIGN: Final[dict[What, str]] = {"added": "+", "removed": "-", "changed": "~"}
_MOST_LINES: Final = 5_000
"""Of one file: a line diff takes time by the product of both lengths in the worst case."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of `kind` module or test; `diff` is unified, for all three of added, removed and changed."""

    name: str
    kind: Literal["module", "test"]
    what: What
    diff: str


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value at `path`, a JSON pointer below `data.gwcfg` or below a grant; `before`, `after` None where absent."""

    path: str
    what: What
    before: JSON
    after: JSON


@dataclass(frozen=True, slots=True)
class GrantChange:
    """A grant by its id, with what changed in it."""

    id: str
    what: What
    values: tuple[ValueChange, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """From `old` to `new` (revisions). `reordered`: the grants stand in another order (the first alias counts)."""

    old: str
    new: str
    files: tuple[FileChange, ...]
    data: tuple[ValueChange, ...]
    grants: tuple[GrantChange, ...]
    reordered: bool = False

    @property
    def empty(self) -> bool:
        """Whether both are the same policy."""
        return not (self.files or self.data or self.grants or self.reordered)


def difference(old: Bundle, new: Bundle) -> Difference:
    """What has to be done to `old` to get `new`."""
    before, after = _grants(old.data), _grants(new.data)
    was, now, was_grants, now_grants = old.data, new.data, dict[str, Object](), dict[str, Object]()
    if before is not None and after is not None:
        was, now = ({name: value for name, value in data.items() if name != "grants"} for data in (was, now))
        was_grants, now_grants = before, after
    return Difference(
        old=old.revision,
        new=new.revision,
        files=(*_files(old.modules, new.modules, "module"), *_files(old.tests, new.tests, "test")),
        data=tuple(_values(was, now, "")),
        grants=tuple(_granted(was_grants, now_grants)),
        reordered=_order(was_grants, now_grants) != _order(now_grants, was_grants),
    )


def _grants(data: Object) -> dict[str, Object] | None:
    """The grants by id in their order; None if they are not a list of objects with an id of their own each."""
    found: dict[str, Object] = {}
    grants = data.get("grants")
    for grant in as_list(grants):
        name = as_str(as_object(grant).get("id"))
        if not name or name in found:
            return None
        found[name] = as_object(grant)
    return found if isinstance(grants, list) else None


def _order(grants: Mapping[str, Object], others: Mapping[str, Object]) -> list[str]:
    return [name for name in grants if name in others]


def _granted(old: Mapping[str, Object], new: Mapping[str, Object]) -> Iterator[GrantChange]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield GrantChange(name, "added", tuple(_values({}, new[name], "")))
        elif name not in new:
            yield GrantChange(name, "removed", tuple(_values(old[name], {}, "")))
        elif values := tuple(_values(old[name], new[name], "")):
            yield GrantChange(name, "changed", values)


def _files(old: Mapping[str, str], new: Mapping[str, str], kind: Literal["module", "test"]) -> Iterator[FileChange]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            what: What = "added" if name not in old else "removed" if name not in new else "changed"
            yield FileChange(name, kind, what, _unified(name, old.get(name), new.get(name)))


def _unified(name: str, old: str | None, new: str | None) -> str:
    before, after = ([] if text is None else _lines(text) for text in (old, new))
    if max(len(before), len(after)) > _MOST_LINES:
        return f"({len(before)} lines before, {len(after)} lines after: too long to compare)"
    labels = ("/dev/null" if old is None else f"a/{name}", "/dev/null" if new is None else f"b/{name}")
    return "\n".join(difflib.unified_diff(before, after, *labels, lineterm=""))


def _lines(text: str) -> list[str]:
    """The lines of a file; a last one that nothing ends says so, as in every `diff`."""
    lines = text.split("\n")
    last = lines.pop()
    return [*lines, f"{last}\n\\ No newline at end of file"] if last else lines


def _values(old: JSON, new: JSON, path: str) -> Iterator[ValueChange]:
    """Objects go key by key; anything else, lists too, is one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            step = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                yield ValueChange(step, "removed", old[key], None)
            elif key not in old:
                yield ValueChange(step, "added", None, new[key])
            else:
                yield from _values(old[key], new[key], step)
    elif not _same(old, new):
        yield ValueChange(path, "changed", old, new)


def _same(old: JSON, new: JSON) -> bool:
    """The equality of the bytes that a revision is the hash of: there `1`, `1.0` and `true` are three values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and old == new


def difference_document(difference: Difference) -> Object:
    """The difference as JSON."""
    files: list[JSON] = [{"name": f.name, "kind": f.kind, "what": f.what, "diff": f.diff} for f in difference.files]
    grants: list[JSON] = [{"id": g.id, "what": g.what, "values": _listed(g.values)} for g in difference.grants]
    return {
        "old": difference.old,
        "new": difference.new,
        "files": files,
        "data": _listed(difference.data),
        "grants": grants,
        "reordered": difference.reordered,
    }


def _listed(values: tuple[ValueChange, ...]) -> list[JSON]:
    return [{"path": v.path, "what": v.what, "before": v.before, "after": v.after} for v in values]


def render_difference(difference: Difference) -> str:
    """The difference for a terminal."""
    if difference.empty:
        return f"no difference (revision {difference.new[:12]})\n"
    lines = [f"{difference.old[:12]} -> {difference.new[:12]}"]
    for grant in difference.grants:
        lines.append(f"{_SIGN[grant.what]} grant {clean(grant.id)}")
        lines += [f"    {_change(value)}" for value in grant.values if value.path != "/id"]
    if difference.reordered:
        lines.append("~ grants in another order")
    lines += [f"{_SIGN[value.what]} data{_change(value)}" for value in difference.data]
    for file in difference.files:
        lines.append(f"{_SIGN[file.what]} {file.kind} {clean(file.name)}")
        lines += ["    " + clean(line, 400) for line in file.diff.expandtabs(4).split("\n") if line]
    return "\n".join(lines) + "\n"


def _change(value: ValueChange) -> str:
    path = clean(value.path)
    match value.what:
        case "added":
            return f"{path}: {words(value.after)}"
        case "removed":
            return f"{path}: was {words(value.before)}"
        case "changed":
            return f"{path}: {words(value.before)} -> {words(value.after)}"
