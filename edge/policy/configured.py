"""What the configuration adds to a policy's data: `data.gwcfg` = the revision's own data and the `policy:` section.

Lists are joined (the revision's grants and the configuration's both count), tables are joined key by key. Where both
give one value, the configuration's counts: its file is the operator's, who may bound what admins apply. Of two caps
the tighter holds, whoever set it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from policies.bundle import Bundle
from policies.grants import Grant, policy_data
from policies.json import JSON, Object

_CAPS: Final = "caps"


def configured_data(grants: Sequence[Grant], *, max_tokens: int | None = None, timeout: float | None = None) -> Object:
    """The data that `policy.grants` and its caps stand for; empty if there are none. ValueError as `policy_data`.

    Empty, so that a gateway without them runs a revision under its own hash.
    """
    if not grants and max_tokens is None and timeout is None:
        return {}
    compiled = policy_data(grants, max_tokens=max_tokens, timeout=timeout)
    return {name: value for name, value in compiled.items() if value != ""}


def effective(bundle: Bundle, configured: Object) -> Bundle:
    """`bundle` as it runs here. Its revision is another one as soon as the configuration adds something."""
    data = merged(bundle.data, configured)
    return bundle if data == bundle.data else replace(bundle, data=data)


def merged(own: Object, configured: Object) -> Object:
    """Both joined; neither is changed."""
    result = _joined(own, configured)
    ours, theirs = own.get(_CAPS), configured.get(_CAPS)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        result[_CAPS] = {name: _tighter(ours.get(name), theirs.get(name)) for name in {**ours, **theirs}}
    return result


def _joined(own: Object, configured: Object) -> Object:
    result = dict(own)
    for name, theirs in configured.items():
        ours = result.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            result[name] = _joined(ours, theirs)
        elif isinstance(ours, list) and isinstance(theirs, list):
            result[name] = [*ours, *theirs]
        else:
            result[name] = theirs
    return result


def _tighter(ours: JSON, theirs: JSON) -> JSON:
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return min(ours, theirs)
    return ours if theirs is None else theirs
