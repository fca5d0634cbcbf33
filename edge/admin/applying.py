"""The life cycle as `PUT /policy/data` needs it: other data for the policy in force, by way of a draft."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.policy.errors import PolicyMoved, PolicyToolError
from edge.policy.source import PolicySource
from observability.ids import new_id
from policies.bundle import Bundle

if TYPE_CHECKING:
    from edge.policy.lifecycle import PolicyLifecycle

_DRAFT: Final = "data-"


class LifecycleAdmin:
    """Implements `data.PolicyAdmin`. `randomness` gives drafts a name that nobody else takes."""

    def __init__(self, lifecycle: Callable[[], PolicyLifecycle], randomness: Callable[[int], bytes]) -> None:
        self._lifecycle = lifecycle
        self._randomness = randomness

    async def written(self) -> Bundle:
        """The policy in force, without what the configuration adds."""
        return (await self._lifecycle().candidate("active")).own

    async def apply(self, bundle: Bundle, *, expected: str, author: str, note: str, confirm_new_access: bool) -> None:
        """Check, test, replay and apply `bundle` in place of revision `expected`. PolicyToolError and its kinds."""
        draft = f"{_DRAFT}{new_id(self._randomness)}"
        lifecycle = self._lifecycle()
        await lifecycle.save_draft(draft, bundle, author)
        try:
            preview = await lifecycle.preview(draft)
            # What comes into force from here on is noticed by `commit`, what did before is noticed here.
            if (await self.written()).revision != expected:
                raise PolicyMoved("another policy came into force in between", "GET /policy/data again")
            await lifecycle.commit(preview, author=author, note=note, confirm_new_access=confirm_new_access)
        finally:
            with suppress(PolicyToolError):
                await lifecycle.delete_draft(draft)


def lifecycle_of(source: PolicySource, decisions: Path) -> Callable[[], PolicyLifecycle]:
    """The life cycle, made when somebody asks: its modules take 50 ms to load, and most gateways never need them."""

    def make() -> PolicyLifecycle:
        from edge.policy.lifecycle import PolicyLifecycle

        return PolicyLifecycle(source, decisions)

    return make
