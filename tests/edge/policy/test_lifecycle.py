"""PolicyLifecycle: nothing comes into force that was not checked, tested and replayed, nor behind anybody's back."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import tarfile
from pathlib import Path

import pytest

from edge.policy.errors import NewAccess, PolicyMoved, PolicyToolError
from edge.policy.folder import write_folder
from edge.policy.source import Origin
from edge.policy.store_types import Action
from policies.bundle import Bundle
from policies.lifecycle.replay import Kind
from tests.edge.policy.fixtures import open_policies
from tests.edge.policy.workbench import TEXT, Workbench, lifecycle, policy, record, write

A, AB, NONE = policy("a"), policy("a", "b"), policy()
BROKEN = Bundle({"access.rego": "package gateway.authz\n\nallow if {"})
FAILS = policy("a", test="# fails\n")


async def revision(home: Path) -> tuple[Origin, str]:
    found = (await lifecycle(home).status()).in_force
    return found.origin, found.bundle.revision


async def test_from_draft_to_rollback(tmp_path: Path) -> None:
    write(tmp_path / "decisions", record(1, "a", allow=True), record(2, "b", allow=False), record(3, "b", allow=False))
    tool = lifecycle(tmp_path)
    await tool.save_draft("opens-b", AB, "ann")
    assert (await tool.check("opens-b")).ok
    assert (await tool.test("opens-b")).coverage == 1.0
    report = await tool.replay("opens-b")
    assert (report.compared, report.same, dict(report.kinds)) == (3, 1, {Kind.OPENED: 2})
    with pytest.raises(NewAccess, match=r"recorded requests .* \(2\): .* --confirm-new-access"):
        await tool.apply("opens-b", author="ann", note="why")
    assert await revision(tmp_path) == (Origin.DEFAULT, A.revision)
    entry = await tool.apply("opens-b", author="ann", note="why", confirm_new_access=True)
    assert await revision(tmp_path) == (Origin.APPLIED, AB.revision)
    assert (entry.author, entry.note, entry.action) == ("ann", "why", Action.APPLY)
    assert entry.report == {
        "warnings": 1,
        "tests": {"passed": 1, "coverage": 1.0},
        "replay": {"compared": 3, "same": 1, "flips": {kind.value: 2 * (kind is Kind.OPENED) for kind in Kind}},
    }
    back = await tool.rollback(author="bob", note="no")
    assert (back.action, back.revision, back.previous) == (Action.ROLLBACK, None, AB.revision)
    assert await revision(tmp_path) == (Origin.DEFAULT, A.revision)
    assert [entry.author for entry in await tool.history()] == ["bob", "ann"]


async def test_replay_of_what_decided_finds_nothing(tmp_path: Path) -> None:
    records = [record(n, "ab"[n % 2], allow=n % 2 == 0) for n in range(1_203)]
    write(tmp_path / "decisions", *records)
    seen: list[int] = []
    report = await lifecycle(tmp_path).replay("active", limit=1_100, progress=seen.append)
    assert (report.compared, report.flips, seen) == (1_100, 0, [500, 1_000, 1_100])
    assert (await lifecycle(tmp_path).replay("active", since=record(1_200, "a", allow=True).at)).compared == 3


@pytest.mark.parametrize(("bad", "words"), [(BROKEN, r"access\.rego:3:1: cannot be read"), (FAILS, "tests: .*test_x")])
async def test_what_fails_is_not_applied(tmp_path: Path, bad: Bundle, words: str) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("bad", bad, "ann")
    with pytest.raises(PolicyToolError, match=words):
        await tool.apply("bad", author="ann", note="", confirm_new_access=True)
    assert await tool.history() == []


async def test_a_policy_that_is_broken_never_shadows(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("bad", BROKEN, "ann")
    with pytest.raises(PolicyToolError, match="does not pass its check"):
        await tool.start_shadow("bad", author="ann")
    for sample in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(PolicyToolError, match="sample"):
            await tool.start_shadow("default", sample=sample, author="ann")
    assert await tool.shadow() is None


async def test_a_folder_in_the_configuration_rules(tmp_path: Path) -> None:
    write_folder(AB, tmp_path / "policy")
    tool = lifecycle(tmp_path, folder=tmp_path / "policy")
    assert (await tool.status()).in_force.origin is Origin.FOLDER
    for attempt in (tool.apply("default", author="a", note=""), tool.rollback(author="a", note="")):
        with pytest.raises(PolicyToolError, match=r"policy\.dir"):
            await attempt
    assert (await tool.replay("active")).compared == 0


async def test_who_was_slower_is_told(tmp_path: Path) -> None:
    bench = Workbench()
    tool = lifecycle(tmp_path, bench=bench)
    await tool.save_draft("mine", NONE, "ann")

    def faster() -> None:
        theirs = policy(comment="# theirs\n")
        open_policies(tmp_path).apply(theirs, after=0, author="bob", note="", action=Action.APPLY, report={})

    bench.meanwhile = faster
    with pytest.raises(PolicyMoved, match="meanwhile, by bob"):
        await tool.apply("mine", author="ann", note="")
    assert [entry.author for entry in await tool.history()] == ["bob"]


async def test_of_two_at_once_one_wins(tmp_path: Path) -> None:
    tools = [lifecycle(tmp_path) for _ in range(4)]
    previews = []
    for number, tool in enumerate(tools):
        await tool.save_draft(f"d{number}", policy(comment=f"# {number}\n"), "ann")
        previews.append(await tool.preview(f"d{number}"))
    commits = [
        tool.commit(preview, author=preview.candidate.ref, note="", confirm_new_access=False)
        for tool, preview in zip(tools, previews, strict=True)
    ]
    done = await asyncio.gather(*commits, return_exceptions=True)
    assert sum(isinstance(each, PolicyMoved) for each in done) == 3
    (entry,) = await tools[0].history()
    assert entry in done


async def test_what_was_tested_is_what_is_applied(tmp_path: Path) -> None:
    """Even if somebody saves the draft, or a file of the folder, in the meantime."""
    bench = Workbench()
    tool = lifecycle(tmp_path, bench=bench)
    folder = tmp_path / "policy"
    write_folder(NONE, folder)

    def edits() -> None:
        (folder / "access.rego").write_text("package evil")

    bench.meanwhile = edits
    await tool.apply(str(folder), author="ann", note="")
    assert await revision(tmp_path) == (Origin.APPLIED, NONE.revision)


async def test_the_configurations_data_runs_along_and_is_not_stored(tmp_path: Path) -> None:
    bench = Workbench()
    write(tmp_path / "decisions", record(1, "b", allow=True))
    tool = lifecycle(tmp_path, configured={"models": ["b"]}, bench=bench)
    await tool.save_draft("mine", A, "ann")
    assert (await tool.replay("mine")).flips == 0
    await tool.apply("mine", author="ann", note="")
    assert bench.inspected[-1].data == {"models": ["a", "b"]}
    assert (await tool.candidate(A.revision[:8])).own == A
    status = await tool.status()
    assert (status.in_force.own, status.in_force.bundle.data) == (A, {"models": ["a", "b"]})
    running = status.in_force.bundle.revision
    assert (await tool.candidate(running[:10])).bundle.revision == running


async def test_applying_what_is_in_force_changes_nothing(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("mine", NONE, "ann")
    first = await tool.apply("mine", author="ann", note="1")
    assert await tool.apply("mine", author="bob", note="2") == first
    assert len(await tool.history()) == 1


async def test_rollback_goes_back_and_forth_and_to_any_policy_that_was_in_force(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    with pytest.raises(PolicyToolError, match="nothing was ever applied"):
        await tool.rollback(author="a", note="")
    for name, bundle in (("one", NONE), ("two", A), ("three", AB)):
        await tool.save_draft(name, bundle, "ann")
    await tool.apply("one", author="a", note="")
    await tool.apply("two", author="a", note="")
    with pytest.raises(PolicyToolError, match="never in force"):
        await tool.rollback("three", author="a", note="")
    assert (await tool.rollback(author="a", note="")).revision == NONE.revision
    assert (await tool.rollback(author="a", note="")).revision == A.revision
    assert (await tool.rollback("default", author="a", note="")).revision is None
    assert (await tool.rollback(NONE.revision[:6], author="a", note="")).revision == NONE.revision


async def test_going_back_can_open_doors_too(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("tight", NONE, "ann")
    await tool.apply("tight", author="a", note="")
    write(tmp_path / "decisions", record(1, "a", allow=False))
    with pytest.raises(NewAccess):
        await tool.rollback(author="a", note="")
    assert (await tool.rollback(author="a", note="", confirm_new_access=True)).revision is None


async def test_a_damaged_row_in_force_can_be_replaced(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("one", NONE, "ann")
    await tool.save_draft("two", policy("c"), "ann")
    await tool.apply("one", author="a", note="")
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("UPDATE policy_revisions SET data = '{}'")
    connection.close()
    entry = await tool.apply("two", author="a", note="")
    assert await revision(tmp_path) == (Origin.APPLIED, entry.revision)


async def test_what_a_ref_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tool, page = lifecycle(tmp_path), lifecycle(tmp_path, folders=False)
    write_folder(AB, tmp_path / "mine")
    assert (await tool.candidate("mine")).own == AB
    assert (await tool.candidate("./mine")).own == AB
    for path in ("mine", "./mine", str(tmp_path / "mine"), "/etc/passwd", "../x", ""):
        with pytest.raises(PolicyToolError, match="no policy"):
            await page.candidate(path)
    await tool.save_draft("mine", NONE, "ann")
    assert (await page.candidate("mine")).own == NONE
    with pytest.raises(PolicyToolError, match="both a draft and a folder"):
        await tool.candidate("mine")
    assert (await tool.candidate("./mine")).own == AB
    for name in ("active", "default"):
        assert ((await tool.candidate(name)).own, (await tool.candidate(name)).default) == (A, True)
    for nothing in ("nix", "0" * 64, "abc", "\x00", "-", "a/b\x00"):
        with pytest.raises(PolicyToolError):
            await tool.candidate(nothing)


async def test_an_api_cannot_store_what_no_folder_could_hold(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path, folders=False)
    for bad in (Bundle({}), Bundle({"../x.rego": ""}), Bundle({"x.rego": "x" * (2 << 20)})):
        with pytest.raises(PolicyToolError):
            await tool.save_draft("d", bad, "ann")
    assert await tool.drafts() == []


async def test_one_question(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    answer = await tool.evaluate("default", {"model": {"resolved": "a"}})
    assert isinstance(answer, dict)
    assert answer["allow"] is True
    await tool.save_draft("conflict", Bundle({"x.rego": TEXT + "\nallow := 1 if true\nallow := 2 if true\n"}), "ann")
    with pytest.raises(PolicyToolError, match="no decision for that input"):
        await tool.evaluate("conflict", {"model": {"resolved": "a"}})


async def test_explain_asks_the_policy_that_decided(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.save_draft("tight", NONE, "ann")
    await tool.apply("tight", author="a", note="")
    write(
        tmp_path / "decisions",
        record(1, "a", allow=False, revision=NONE.revision),
        record(2, "a", allow=True, revision=A.revision),
        record(3, "a", allow=True, revision="f" * 64),
    )
    await tool.rollback(author="a", note="", confirm_new_access=True)
    denied = await tool.explain("req-1")
    assert (denied.stale, denied.record.allow, denied.rules.false) == (False, False, ("allow",))
    assert not (await tool.explain("req-2")).stale
    assert (await tool.explain("req-3")).stale
    with pytest.raises(PolicyToolError, match="no decision of that request"):
        await tool.explain("req-4")


async def test_decisions_are_listed_newest_first(tmp_path: Path) -> None:
    write(tmp_path / "decisions", *(record(n, "a", allow=n % 2 == 0) for n in range(10)))
    found = await lifecycle(tmp_path).decisions(lambda each: not each.allow, most=3)
    assert [each.id for each in found] == ["req-9", "req-7", "req-5"]


async def test_a_bundle_for_opa_holds_what_runs_here(tmp_path: Path) -> None:
    content = await lifecycle(tmp_path, configured={"models": ["b"]}).bundle("default")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        data = archive.extractfile("/gwcfg/data.json")
        assert data is not None
        assert data.read() == b'{"models":["a","b"]}'


async def test_status_says_who_runs_what(tmp_path: Path) -> None:
    tool = lifecycle(tmp_path)
    await tool.start_shadow("default", sample=0.5, author="ann")
    document = (await tool.status()).document()
    shadow = document["shadow"]
    assert (document["origin"], document["revision"], document["applied"]) == ("default", A.revision, None)
    assert isinstance(shadow, dict)
    assert (shadow["revision"], shadow["sample"]) == (A.revision, 0.5)
    stopped = await tool.stop_shadow()
    assert stopped is not None
    assert await tool.stop_shadow() is None
    assert open_policies(tmp_path).shadow() is None
