"""What a REF means: `active`, `default`, a draft's name, the beginning of a revision, or a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from edge.policy.errors import PolicyToolError
from edge.policy.folder import read_folder
from edge.policy.lifecycle_types import Candidate
from edge.policy.source import Origin, PolicySource

ACTIVE: Final = "active"
DEFAULT: Final = "default"
_REVISION: Final = re.compile(r"[0-9a-f]{6,64}", re.ASCII)


def resolve(source: PolicySource, ref: str, *, folders: bool) -> Candidate:
    """The policy that `ref` means. Blocking; raises PolicyToolError, StateError.

    `folders`: whether paths may be named: yes for who sits at this machine, never for a page in a browser.
    """
    if ref == ACTIVE:
        _, policy = source.load()
        return Candidate(ref, policy.own, policy.bundle, default=policy.origin is Origin.DEFAULT)
    if ref == DEFAULT:
        return Candidate(ref, source.default, source.with_data(source.default), default=True)
    path = Path(ref) if folders and _is_path(ref) else None
    drafts = {draft.name for draft in source.store.drafts()}
    if ref in drafts:
        if path is not None and os.sep not in ref:
            problem = f"there are both a draft and a folder named '{ref}'"
            raise PolicyToolError(problem, f"write .{os.sep}{ref} for the folder, or rename the draft", usage=True)
        own = source.store.draft(ref).bundle
    elif path is not None:
        own = read_folder(path)
    elif _REVISION.fullmatch(ref) and (found := _in_force(source, ref)) is not None:
        return found
    else:
        own = source.store.find(ref).bundle
    return Candidate(ref, own, source.with_data(own))


def _is_path(ref: str) -> bool:
    if "\x00" in ref or not ref:
        return False
    return os.sep in ref or ref.startswith(".") or Path(ref).is_dir()


def _in_force(source: PolicySource, prefix: str) -> Candidate | None:
    """The policy in force, if `prefix` is of the revision that decisions carry: nobody applied that one as such."""
    _, policy = source.load()
    if not policy.bundle.revision.startswith(prefix):
        return None
    return Candidate(prefix, policy.own, policy.bundle, default=policy.origin is Origin.DEFAULT)
