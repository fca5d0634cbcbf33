"""Presets of a file that is followed: none is gone before the keys that had it are known by another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from edge.config.presets import BUILT_IN, Defaults, Preset
from edge.config.settings import Models, Settings
from edge.following import Followed, Switch, Table
from edge.identity.configured import ConfiguredKey

A, B, C = (Preset(Defaults(temperature=value)) for value in (0.1, 0.2, 0.3))


def settings(presets: Mapping[str, Preset]) -> Settings:
    return Settings(models=Models(presets=presets))


class Story:
    """What is done, in its order."""

    def __init__(self, presets: Mapping[str, Preset]) -> None:
        self.told: list[object] = []
        self.fails = False
        self.file = settings(presets)
        self.followed = Followed(self.file, lambda: self.file, self.keys, self.presets)

    def keys(self, _: Sequence[ConfiguredKey]) -> None:
        self.told.append("keys")
        if self.fails:
            raise OSError("the database is away")

    def presets(self, table: Table, seconds: float) -> None:
        own = {name: preset for name, preset in table.items() if name not in BUILT_IN}
        self.told.append((own, seconds > 0))

    def rewrite(self, presets: Mapping[str, Preset]) -> list[object]:
        self.file = settings(presets)
        return self.look()

    def look(self) -> list[object]:
        self.told = []
        self.followed.follow(self.followed.read())
        return self.told


def test_a_preset_with_another_name_is_there_under_both_while_keys_change() -> None:
    story = Story({"a": A, "kids": B})
    assert story.rewrite({"a": C, "children": B}) == [
        ({"a": A, "kids": B, "children": B}, False),  # as it was, and what keys may need
        "keys",
        ({"a": C, "kids": B, "children": B}, False),
        ({"a": C, "children": B}, True),
    ]
    assert story.look() == ["keys"], "nothing else has changed"


def test_keys_that_cannot_be_changed_leave_the_presets_as_they_were() -> None:
    story = Story({"a": A})
    story.fails = True
    for _ in range(2):
        with pytest.raises(OSError, match="is away"):
            story.rewrite({"a": C, "b": B})
        assert story.told == [({"a": A, "b": B}, False), "keys", ({"a": A}, False)]
    story.fails = False
    assert story.look()[-1] == ({"a": C, "b": B}, True)


async def test_what_is_to_count_later_gives_way_to_what_comes_before() -> None:
    taken: asyncio.Queue[Table] = asyncio.Queue()
    switch = Switch(asyncio.get_running_loop(), taken.put_nowait)
    await asyncio.to_thread(switch, {"a": A}, 0.01)
    assert await asyncio.wait_for(taken.get(), 10) == {"a": A}
    switch({"b": B}, 0.01)
    switch({"c": C}, 0.0)
    switch({"a": A}, 0.1)
    assert [await asyncio.wait_for(taken.get(), 10) for _ in range(2)] == [{"c": C}, {"a": A}]
