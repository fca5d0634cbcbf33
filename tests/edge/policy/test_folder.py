"""Policy folders: what counts, what is refused before it can hurt, and both ways without loss."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.errors import PolicyToolError
from edge.policy.folder import (
    MAX_DATA,
    check_bundle,
    fingerprint,
    read_folder,
    write_folder,
)
from edge.policy.folder_data import read_json, read_yaml
from policies.bundle import Bundle
from policies.embedded.sizes import MAX_FILE, MAX_FILES, MAX_MODULES, oversized

TEXT = "package gateway.authz\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policy"
    made.mkdir()
    (made / "access.rego").write_text(TEXT)
    return made


def refused(folder: Path, words: str) -> None:
    """Refused, in one line, by whatever reads it."""
    for read in (read_folder, fingerprint):
        with pytest.raises(PolicyToolError, match=words) as caught:
            read(folder)
        assert "\n" not in str(caught.value)


def test_modules_tests_and_data_are_told_apart(folder: Path) -> None:
    (folder / "access_test.rego").write_text("# test\n")
    (folder / "team").mkdir()
    (folder / "team" / "x.rego").write_text("# x\n")
    (folder / "team" / "x_test.rego").write_text("# x test\n")
    (folder / "data.yaml").write_text("grants: [{id: a, tools: off}]\nn: 1\n")
    (folder / "README.md").write_text("not read")
    (folder / ".git").mkdir()
    (folder / ".git" / "hook.rego").write_text("not read")
    assert read_folder(folder) == Bundle(
        {"access.rego": TEXT, "team/x.rego": "# x\n"},
        {"access_test.rego": "# test\n", "team/x_test.rego": "# x test\n"},
        {"grants": [{"id": "a", "tools": "off"}], "n": 1},
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    bundle = Bundle({"a.rego": "x\r\ny", "t/b.rego": "ü\n"}, {"a_test.rego": "t"}, {"b": [1, 2.5, None, "ü"]})
    written = write_folder(bundle, tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["a.rego", "a_test.rego", "data.json", "b.rego"]
    assert read_folder(tmp_path / "new" / "folder") == bundle


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(PolicyToolError, match="not empty"):
        write_folder(Bundle({"access.rego": "other"}), folder)
    assert (folder / "access.rego").read_text() == TEXT


def test_no_bundle_writes_outside_its_folder(tmp_path: Path) -> None:
    for name in ("../x.rego", "/x.rego", "a/../../x.rego", "x.rego\x00", "a//x.rego", ".x.rego", "x", "x_test.rego"):
        with pytest.raises(PolicyToolError):
            write_folder(Bundle({name: ""}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    (folder / "x.rego").symlink_to(tmp_path / "secret")
    refused(folder, "leads out of")
    (folder / "x.rego").unlink()
    (folder / "data.json").symlink_to("../secret")
    refused(folder, "leads out of")


def test_a_folder_that_is_a_link_to_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (folder / "team").symlink_to(tmp_path / "other")
    refused(folder, "links to folders are not followed")


def test_links_within_are_followed_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / f"..2026_{number}").mkdir()
        (tmp_path / f"..2026_{number}" / "access.rego").write_text(f"# {number}\n")
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "access.rego").symlink_to("..data/access.rego")
    assert read_folder(tmp_path).modules == {"access.rego": "# 1\n"}
    before = fingerprint(tmp_path)
    (tmp_path / "..tmp").symlink_to("..2026_2")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    assert read_folder(tmp_path).modules == {"access.rego": "# 2\n"}
    assert fingerprint(tmp_path) != before


def test_links_in_a_ring_and_into_nothing_are_refused(folder: Path) -> None:
    (folder / "x.rego").symlink_to("y.rego")
    (folder / "y.rego").symlink_to("x.rego")
    refused(folder, "ring|Too many levels")
    (folder / "y.rego").unlink()
    refused(folder, "No such file")


def test_what_is_no_file_is_refused_and_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "x.rego")
    refused(folder, "x.rego is not a regular file")
    (folder / "x.rego").unlink()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(folder / "x.rego"))
        refused(folder, "x.rego is not a regular file")


@pytest.mark.parametrize(("name", "most"), [("x.rego", "128 KiB"), ("data.json", "4 MiB"), ("data.yaml", "4 MiB")])
def test_50_megabytes_are_refused_before_they_are_read(folder: Path, name: str, most: str) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(50 << 20)
    refused(folder, f"{name} is larger than {most}")


def test_many_files_that_are_large_together_are_refused(folder: Path) -> None:
    for number in range(9):
        (folder / f"x{number}.rego").write_bytes(b"#" * (MAX_FILE - 1))
    with pytest.raises(PolicyToolError, match="more than 1 MiB"):
        read_folder(folder)
    with pytest.raises(PolicyToolError, match="more than 1 MiB"):
        check_bundle(Bundle({f"x{number}.rego": "#" * MAX_FILE for number in range(9)}))


def test_what_a_folder_may_hold_is_what_a_check_looks_into(folder: Path) -> None:
    """One set of bounds: what was read is not refused for its size afterwards."""
    (folder / "access.rego").unlink()
    texts = {f"x{number}.rego": "#" * MAX_FILE for number in range(MAX_MODULES // MAX_FILE)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "data.json").write_text(json.dumps({"x": "y" * (MAX_DATA - 100)}))
    bundle = read_folder(folder)
    check_bundle(bundle)
    assert oversized(bundle) == ()


def test_too_many_and_too_deep_are_refused(folder: Path, tmp_path: Path) -> None:
    for number in range(MAX_FILES):
        (folder / f"x{number}.rego").touch()
    refused(folder, "more than 256")
    deep = tmp_path / "deep"
    (deep / "/".join("abcdefghijk")).mkdir(parents=True)
    refused(deep, "nested")


def test_an_empty_folder_a_file_and_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(PolicyToolError, match="no policy"):
        read_folder(tmp_path)
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "Not a directory")
    refused(tmp_path / "gone", "No such file")


def test_data_that_would_not_be_read_is_told(folder: Path) -> None:
    (folder / "team").mkdir()
    (folder / "team" / "data.json").write_text("{}")
    refused(folder, "team/data.json would not be read")
    (folder / "team" / "data.json").unlink()
    (folder / "data.json").write_text("{}")
    (folder / "data.yaml").write_text("{}")
    with pytest.raises(PolicyToolError, match="both"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["a b.rego", "ü.rego", "-x.rego", "a\nb.rego", "x'.rego"])
def test_names_are_plain(folder: Path, name: str) -> None:
    (folder / name).touch()
    refused(folder, "cannot be named")


def test_text_that_is_not_utf8_is_told_with_its_row(folder: Path) -> None:
    (folder / "access.rego").write_bytes(b"package x\n\xff")
    with pytest.raises(PolicyToolError, match=r"access\.rego:2 is not UTF-8"):
        read_folder(folder)


@pytest.mark.parametrize("text", ["[]", "{", '{"a":1,"a":2}', '{"a":NaN}', "null", "[" * 100_000, '{"a":1e999}', ""])
def test_data_is_one_strict_json_object(text: str) -> None:
    with pytest.raises(PolicyToolError, match=r"data\.json(:\d+:\d+)? is not "):
        read_json(text.encode(), "data.json")


@pytest.mark.parametrize(
    "text",
    ["- 1", "a: &x 1\nb: *x", "a: !!python/object:x 1", "a: 1\na: 2", "a: 1e999", "[" * 1000, "a: [1", "text", "\x00"],
)
def test_data_is_one_plain_yaml_table(text: str) -> None:
    with pytest.raises(PolicyToolError) as caught:
        read_yaml(text.encode(), "data.yaml")
    assert "data.yaml" in str(caught.value)


def test_an_empty_yaml_is_no_data() -> None:
    assert read_yaml(b"# nothing yet\n", "data.yaml") == {}


def test_bundles_that_no_folder_could_hold_are_refused() -> None:
    for bad in (
        Bundle({}),
        Bundle({"x.rego": "\ud800"}),
        Bundle({"x.rego": "#" * (MAX_FILE + 1)}),
        Bundle({f"x{number}.rego": "" for number in range(MAX_FILES + 1)}),
        Bundle({"x.rego": ""}, {"x.rego": ""}),
        Bundle({"x.rego": ""}, data={"x": "y" * (MAX_DATA + 1)}),
        Bundle({"x.rego": ""}, data={"x": "\ud800"}),
    ):
        with pytest.raises(PolicyToolError):
            check_bundle(bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_one_refusal(content: bytes) -> None:
    for read in (read_json, read_yaml):
        try:
            assert isinstance(read(content, "data"), dict)
        except PolicyToolError:
            continue
