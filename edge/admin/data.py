"""The policy's data over HTTP: `GET /policy`, `GET` and `PUT /policy/data`. Grants without a line of Rego.

A PUT makes a new revision of the policy as written, with other data, and applies it as `llm-gateway policy apply` does:
checked, tested, replayed over what was decided before, kept in the history with its author. It is lost to nobody:
`If-Match` with the tag of the GET refuses to overwrite what somebody else applied in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol
from urllib.parse import parse_qsl

from edge.admin.answers import Answer, Ask, json_answer
from edge.admin.bundles import tags_of
from edge.admin.pacing import Turns
from edge.intake import strict_json
from edge.intake.intake import check_content_type
from edge.listener.limits import MIB
from edge.policy.active import ActivePolicy
from edge.policy.errors import NewAccess, PolicyMoved, PolicyToolError
from policies.bundle import Bundle
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

LARGEST: Final = 1 * MIB
IN_FORCE_WITHIN: Final = 2.0
"""Seconds that a PUT waits for the gateway to run what was applied; it is asked for within one."""
_NOTE: Final = "note"
_CONFIRM: Final = "confirm_new_access"


class PolicyAdmin(Protocol):
    """Reads and applies policies as written, without what the configuration adds."""

    async def written(self) -> Bundle:
        """The policy in force."""

    async def apply(self, bundle: Bundle, *, expected: str, author: str, note: str, confirm_new_access: bool) -> None:
        """Put `bundle` in force instead of the one with revision `expected`. PolicyToolError and its kinds."""


class PolicyData:
    """The three routes. `source` says in a word where the policy in force comes from."""

    def __init__(self, active: ActivePolicy, admin: PolicyAdmin | None, *, source: Callable[[], str]) -> None:
        self._active = active
        self._admin = admin
        self._source = source
        self._turns = Turns(1)

    async def show(self, _: Ask) -> Answer:
        """Route: the policy that decides here; `data` with what the configuration adds."""
        bundle = self._active.bundle
        modules: list[JSON] = [*sorted(bundle.modules)]
        document: JSON = {
            "revision": self._active.revision,
            "source": self._source(),
            "modules": modules,
            "data": bundle.data,
        }
        return json_answer(200, document)

    async def read(self, _: Ask) -> Answer:
        """Route: the policy's own data, to be changed and put back."""
        written = await self._tool().written()
        return json_answer(200, written.data, etag=_tag(written))

    async def write(self, ask: Ask) -> Answer:
        """Route: the same policy with the data in the body."""
        _ = self._tool()
        note, confirmed = _parameters(ask.inbound.query)
        check_content_type(ask.headers)
        body = await ask.inbound.body(LARGEST)
        data = await asyncio.to_thread(strict_json.parse, body)
        with self._turns.take():
            try:
                return await self._put(ask, data, note, confirmed=confirmed)
            except PolicyToolError as error:
                return _refused(error)

    async def _put(self, ask: Ask, data: Object, note: str, *, confirmed: bool) -> Answer:
        tool, before = self._tool(), self._active.revision
        written = await tool.written()
        wanted = replace(written, data=data)
        expected = ask.headers.get("if-match", "*")
        if expected != "*" and _tag(written) not in tags_of(expected):
            raise PolicyMoved("another policy came into force in between", "GET /policy/data again")
        changed = wanted.revision != written.revision
        if changed:
            await tool.apply(
                wanted,
                expected=written.revision,
                author=ask.principal.name,
                note=note,
                confirm_new_access=confirmed,
            )
        taken = not changed or await self._active.differs(before, IN_FORCE_WITHIN)
        document: JSON = {"revision": wanted.revision, "changed": changed, "in_force": taken}
        return json_answer(200 if taken else 202, document, etag=_tag(wanted))

    def _tool(self) -> PolicyAdmin:
        if self._admin is None:
            raise Refusal(Reason.UNKNOWN_ROUTE)
        return self._admin


def _tag(bundle: Bundle) -> str:
    return f'"{bundle.revision}"'


def _parameters(query: str) -> tuple[str, bool]:
    """`note` and `confirm_new_access` of a PUT. Refusal for anything else: a misspelt one must not pass for a yes."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=2, errors="strict")
    except ValueError:
        raise Refusal(Reason.INVALID_PARAMETER) from None
    found = dict(pairs)
    if len(found) != len(pairs) or not found.keys() <= {_NOTE, _CONFIRM}:
        raise Refusal(Reason.UNKNOWN_PARAMETER)
    if found.get(_CONFIRM, "false") not in {"true", "false"}:
        raise Refusal(Reason.INVALID_PARAMETER, param=_CONFIRM)
    return found.get(_NOTE, ""), found.get(_CONFIRM) == "true"


def _refused(error: PolicyToolError) -> Answer:
    """The tool's own words, which admins get on the command line as well; in the shape of every other error."""
    match error:
        case PolicyMoved():
            status, code, text = 412, "policy_moved", str(error)
        case NewAccess():
            # Its step is an option of the command line.
            status, code, text = 409, "new_access", f"{error.problem}: if that is meant, add ?{_CONFIRM}=true"
        case _:
            status, code, text = 422, "policy_refused", str(error)
    return json_answer(
        status, {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
    )
