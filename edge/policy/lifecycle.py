"""PolicyLifecycle: draft, check, test, replay, shadow, apply, roll back, explain. For the command line and the pages.

Whatever cannot be done is a PolicyToolError that says what to do next (or a StateError of the database). A policy is
put in force in two steps, so that people see what it does before they say yes: `preview`, then `commit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import orjson

from edge.identity.state import StateError
from edge.policy.errors import NewAccess, PolicyToolError
from edge.policy.folder import check_bundle
from edge.policy.lifecycle_explain import explain_request
from edge.policy.lifecycle_refs import ACTIVE, DEFAULT, resolve
from edge.policy.lifecycle_replay import MOST, replay
from edge.policy.lifecycle_types import Candidate, Preview, Progress, Status, errors, failures
from edge.policy.lifecycle_workshop import ScratchWorkshop, Workshop
from edge.policy.source import PolicySource
from edge.policy.store_types import Action, Draft, Entry, StoredShadow
from observability.decisions.reader import iterate, stats
from policies.archive import ArchiveError, archive
from policies.bundle import Bundle
from policies.embedded.findings import Inspection, TestReport
from policies.engine import PolicyFault
from policies.json import JSON, Object
from policies.lifecycle.diff import Difference, difference
from policies.lifecycle.experiment import Known
from policies.lifecycle.explain import Explanation
from policies.lifecycle.export import FLEET
from policies.lifecycle.report import Report
from policies.record import Record

_T = TypeVar("_T")
_SHOWN: Final = 3
_SCANNED: Final = 1_000_000
"""Records a listing looks through at most: a filter that fits nothing must come to an end."""


class PolicyLifecycle:
    """The life cycle of the policies that `source` knows; `decisions` is the decision log's folder.

    `folders`: whether a REF may be a path on this machine; leave it off for whatever comes over a network. `known`
    names what `explain` may try.
    """

    def __init__(
        self,
        source: PolicySource,
        decisions: Path,
        *,
        workshop: Workshop | None = None,
        folders: bool = False,
        known: Known | None = None,
    ) -> None:
        self._source = source
        self._store = source.store
        self._decisions = decisions
        self._workshop: Workshop = workshop or ScratchWorkshop()
        self._folders = folders
        self._known = known or Known()

    # ------------------------------------------------------------------ what there is

    async def status(self) -> Status:
        """What is in force, since when, what runs beside it, and what the fleet runs."""

        def look() -> Status:
            _, policy = self._source.load()
            store = self._store
            log = stats(self._decisions)
            return Status(policy, store.head(), store.shadow(), tuple(store.instances()), log)

        return await _away(look)

    async def candidate(self, ref: str) -> Candidate:
        """The policy that `ref` means: `active`, `default`, a draft, a revision's beginning, a folder."""
        return await _away(lambda: resolve(self._source, ref, folders=self._folders))

    async def history(self, most: int = 100) -> list[Entry]:
        """What was in force, the newest first."""
        return await _away(lambda: self._store.history(most))

    async def diff(self, old: str, new: str) -> Difference:
        """What has to be done to `old` to get `new`, as they are written."""
        return difference((await self.candidate(old)).own, (await self.candidate(new)).own)

    async def bundle(self, ref: str) -> bytes:
        """The policy as an OPA bundle (tar.gz), with the data that the configuration adds; unsigned. It has to pass its
        check: an OPA would not tell whoever made it."""
        candidate = await self.candidate(ref)
        _ = await self._inspected(candidate)
        try:
            return await _away(lambda: archive(candidate.bundle))
        except ArchiveError as error:
            raise PolicyToolError(str(error), "rename it") from None

    # ------------------------------------------------------------------ drafts

    async def save_draft(self, name: str, bundle: Bundle, author: str) -> Draft:
        """Keep a policy somebody works on; it need not even compile."""
        check_bundle(bundle)
        return await _away(lambda: self._store.save_draft(name, bundle, author))

    async def draft(self, name: str) -> Draft:
        """One draft."""
        return await _away(lambda: self._store.draft(name))

    async def drafts(self) -> list[Draft]:
        """All drafts, by name."""
        return await _away(self._store.drafts)

    async def delete_draft(self, name: str) -> Draft:
        """Forget a draft; what was applied from it stays applied."""
        return await _away(lambda: self._store.delete_draft(name))

    # ------------------------------------------------------------------ try it

    async def check(self, ref: str) -> Inspection:
        """Compile and lint."""
        return await self._workshop.inspect((await self.candidate(ref)).bundle)

    async def test(self, ref: str) -> TestReport:
        """Run its tests."""
        return await self._workshop.run_tests((await self.candidate(ref)).bundle)

    async def replay(
        self,
        ref: str,
        *,
        limit: int | None = MOST,
        since: float | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """What it would have decided otherwise, of what was recorded."""
        candidate = await self.candidate(ref)
        return await replay(
            self._workshop, candidate.bundle, self._decisions, limit=limit, since=since, progress=progress
        )

    async def evaluate(self, ref: str, document: Object) -> JSON:
        """Its decision for one input document."""
        candidate = await self.candidate(ref)
        async with self._workshop.running(candidate.bundle) as policy:
            try:
                return await policy.evaluate(orjson.dumps(document))
            except PolicyFault as fault:
                raise PolicyToolError(
                    f"the policy gives no decision for that input ({fault.detail})", "for a caller this is a no"
                ) from None

    # ------------------------------------------------------------------ put it in force

    async def preview(
        self, ref: str, *, limit: int | None = MOST, since: float | None = None, progress: Progress | None = None
    ) -> Preview:
        """What applying `ref` would do. PolicyToolError if it cannot be: a folder rules, its check or tests fail."""
        self._not_a_folder()
        after = await self._head()  # before anything else is looked at: what comes in force later is noticed
        return await self._previewed(
            await self.candidate(ref), Action.APPLY, after, limit=limit, since=since, progress=progress
        )

    async def preview_rollback(self, to: str | None = None, *, progress: Progress | None = None) -> Preview:
        """What going back `to` an earlier revision (None: what was in force before) would do. Its tests need not pass:
        it was in force, and haste may be needed."""
        self._not_a_folder()
        after = await self._head()
        if after is None:
            raise PolicyToolError("nothing was ever applied", "the default policy is in force")
        candidate = await self.candidate(to or after.previous or DEFAULT)
        if not candidate.default and all(e.revision != candidate.own.revision for e in await self.history(1_000_000)):
            raise PolicyToolError("that policy was never in force", "see `policy history`, or use `policy apply`")
        return await self._previewed(candidate, Action.ROLLBACK, after, progress=progress)

    async def commit(self, preview: Preview, *, author: str, note: str, confirm_new_access: bool) -> Entry:
        """Put in force what was previewed. PolicyMoved if somebody was faster, NewAccess if nobody said it is meant."""
        if preview.replay.opened and not confirm_new_access:
            raise NewAccess(
                f"recorded requests that were denied would be allowed ({preview.replay.opened})",
                "look at them with `policy replay`; if that is meant, add --confirm-new-access",
            )
        if preview.unchanged and (head := await self._head()) is not None and head.seq == preview.after:
            return head
        return await _away(
            lambda: self._store.apply(
                preview.candidate.stored,
                after=preview.after,
                author=author,
                note=note,
                action=preview.action,
                report=preview.report(),
            )
        )

    async def apply(
        self,
        ref: str,
        *,
        author: str,
        note: str,
        confirm_new_access: bool = False,
        progress: Progress | None = None,
    ) -> Entry:
        """`preview` and `commit` in one: exactly what was checked, tested and replayed comes into force."""
        preview = await self.preview(ref, progress=progress)
        return await self.commit(preview, author=author, note=note, confirm_new_access=confirm_new_access)

    async def rollback(
        self, to: str | None = None, *, author: str, note: str, confirm_new_access: bool = False
    ) -> Entry:
        """`preview_rollback` and `commit` in one."""
        preview = await self.preview_rollback(to)
        return await self.commit(preview, author=author, note=note, confirm_new_access=confirm_new_access)

    # ------------------------------------------------------------------ the shadow

    async def start_shadow(self, ref: str, *, sample: float = 1.0, author: str) -> StoredShadow:
        """Let `ref` decide beside the live policy, unheard, on a share `sample` of the requests."""
        if not 0 < sample <= 1:
            raise PolicyToolError("a sample is a share above 0 and at most 1", "write 0.1 for every tenth", usage=True)
        candidate = await self.candidate(ref)
        await self._inspected(candidate)
        return await _away(lambda: self._store.start_shadow(candidate.own, sample, author))

    async def stop_shadow(self) -> StoredShadow | None:
        """End it; what it counted, None if none ran."""
        return await _away(self._store.stop_shadow)

    async def shadow(self) -> StoredShadow | None:
        """What it has counted so far."""
        return await _away(self._store.shadow)

    # ------------------------------------------------------------------ look back

    async def explain(self, request_id: str) -> Explanation:
        """Why a request got its answer."""
        return await explain_request(request_id, self._source, self._decisions, self._workshop, self._known)

    async def decisions(
        self,
        keep: Callable[[Record], bool] = lambda _: True,
        *,
        most: int = 50,
        since: float | None = None,
        fleet: bool = False,
    ) -> list[Record]:
        """The newest recorded decisions that `keep` wants; with `fleet` those that OPAs reported."""
        folder = self._decisions / FLEET if fleet else self._decisions

        def look() -> list[Record]:
            found: list[Record] = []
            for record in iterate(folder, since=since, limit=_SCANNED):
                if keep(record):
                    found.append(record)
                if len(found) >= most:
                    break
            return found

        return await _away(look)

    # ------------------------------------------------------------------

    def _not_a_folder(self) -> None:
        if self._source.folder is not None:
            raise PolicyToolError(
                f"the policy is what lies in {self._source.folder} (policy.dir in the configuration)",
                "change the files there, or take policy.dir out of the configuration",
            )

    async def _active(self) -> Bundle:
        try:
            return (await self.candidate(ACTIVE)).own
        except StateError:  # its row is damaged; applying another policy is the way out, and must not end here
            return Bundle({})

    async def _head(self) -> Entry | None:
        return await _away(self._store.head)

    async def _inspected(self, candidate: Candidate) -> Inspection:
        inspection = await self._workshop.inspect(candidate.bundle)
        if not inspection.ok:
            raise PolicyToolError(
                f"the policy does not pass its check: {_some(errors(inspection))}", "see `policy check`"
            )
        return inspection

    async def _previewed(
        self,
        candidate: Candidate,
        action: Action,
        after: Entry | None,
        *,
        limit: int | None = MOST,
        since: float | None = None,
        progress: Progress | None,
    ) -> Preview:
        check_bundle(candidate.own)
        inspection = await self._inspected(candidate)
        tests = await self._workshop.run_tests(candidate.bundle) if action is Action.APPLY else None
        if tests is not None and (failed := failures(tests)):
            raise PolicyToolError(f"the policy does not pass its tests: {_some(failed)}", "see `policy test`")
        report = await replay(
            self._workshop, candidate.bundle, self._decisions, limit=limit, since=since, progress=progress
        )
        revision = None if candidate.default else candidate.own.revision
        return Preview(
            candidate=candidate,
            action=action,
            after=after.seq if after else 0,
            unchanged=after is not None and after.revision == revision,
            difference=difference(await self._active(), candidate.own),
            inspection=inspection,
            tests=tests,
            replay=report,
        )


def _some(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(" ".join(line.split()) for line in lines[:_SHOWN]) + more


async def _away(work: Callable[[], _T]) -> _T:
    """In a thread: databases and files block."""
    return await asyncio.to_thread(work)
