"""Edits of the entries and of their files are taken over once they keep still, and mistakes change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.identity.configured import ConfiguredKey
from edge.identity.following import ConfiguredKeysWatcher


@dataclass
class Scene:
    """A configuration file that names secret files, one per line."""

    folder: Path
    followed: list[tuple[str, ...]] = field(default_factory=list)
    fails: Exception | None = None

    @property
    def file(self) -> Path:
        return self.folder / "gateway.yaml"

    def write(self, name: str, text: str) -> None:
        """As an editor does it: another file takes the name."""
        draft = self.folder / f".{name}"
        draft.write_text(text)
        draft.rename(self.folder / name)

    def read(self) -> list[ConfiguredKey]:
        return [ConfiguredKey(name=name, secret_file=self.folder / name) for name in self.file.read_text().split()]

    def follow(self, entries: Sequence[ConfiguredKey]) -> None:
        if self.fails is not None:
            raise self.fails
        self.followed.append(tuple(entry.secret_file.read_text() for entry in entries))

    def watcher(self) -> ConfiguredKeysWatcher:
        return ConfiguredKeysWatcher(self.read(), self.file, self.read, self.follow, poll=0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.write("gateway.yaml", "web")
    scene.write("web", "1")
    scene.write("job", "j")
    return scene


def test_a_changed_file_is_taken_over_once_after_it_kept_still(scene: Scene) -> None:
    watcher = scene.watcher()
    watcher.look()
    assert scene.followed == []
    scene.write("web", "2")
    watcher.look()
    assert scene.followed == []
    for _ in range(3):
        watcher.look()
    assert scene.followed == [("2",)]


def test_files_of_new_entries_are_watched_too(scene: Scene) -> None:
    watcher = scene.watcher()
    scene.write("gateway.yaml", "web job")
    for _ in range(3):
        watcher.look()
    scene.write("job", "jj")
    for _ in range(3):
        watcher.look()
    assert scene.followed == [("1", "j"), ("1", "jj")]


def test_a_mistake_is_said_once_and_tried_again(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    watcher = scene.watcher()
    scene.fails = ValueError("first line\nsecond line")
    scene.write("web", "2")
    for _ in range(5):
        watcher.look()
    assert [record.getMessage() for record in caplog.records] == [
        "keys and presets of the configuration stay as they are: first line | second line"
    ]
    scene.fails = None
    watcher.look()
    assert scene.followed == [("2",)]
    assert caplog.records[-1].getMessage() == "keys and presets of the configuration are followed again"


def test_a_file_that_goes_away_and_comes_back_is_noticed(scene: Scene) -> None:
    watcher = scene.watcher()
    (scene.folder / "web").unlink()
    for _ in range(3):
        watcher.look()
    scene.write("web", "3")
    for _ in range(3):
        watcher.look()
    assert scene.followed == [("3",)]


async def test_with_nothing_to_watch_the_watch_is_over(scene: Scene) -> None:
    watcher = ConfiguredKeysWatcher((), None, scene.read, scene.follow)
    async with asyncio.timeout(5):
        await watcher.run()


async def test_it_runs_until_cancelled(scene: Scene) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(scene.watcher().run())
        scene.write("web", "2")
        while scene.followed != [("2",)]:
            await asyncio.sleep(0.01)
        running.cancel()
