"""Tables fit whatever width there is, and show nothing that a terminal would obey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.cli.live.table import Column, fit, table, width_of

COLUMNS = (Column("NAME", soft=True), Column("N", right=True), Column("MORE", rank=1, soft=True), Column("X", rank=2))


def test_numbers_stand_to_the_right_and_columns_under_each_other() -> None:
    assert table(COLUMNS, [("ann", "1", "a", "b"), ("bob", "200", "c", "d")], 80) == [
        "NAME    N  MORE  X",
        "ann     1  a     b",
        "bob   200  c     d",
    ]


def test_the_least_important_columns_go_first() -> None:
    rows = [("ann", "100", "more", "x")]
    assert table(COLUMNS, rows, 16)[0] == "NAME    N  MORE"
    assert table(COLUMNS, rows, 10)[0] == "NAME    N"


def test_long_names_are_cut_before_columns_go() -> None:
    assert table(COLUMNS, [("a-very-long-name", "1", "m", "x")], 20) == [
        "NAME      N  MORE  X",
        "a-very-…  1  m     x",
    ]


def test_wide_letters_count_twice_and_marks_not_at_all() -> None:
    assert width_of("模型") == 4
    assert width_of("e\u0301") == 1
    assert fit("模型模型", 5) == "模型…"
    assert table((Column("A"), Column("B")), [("模", "1"), ("a", "2")], 80) == ["A   B", "模  1", "a   2"]


def test_control_characters_come_out_as_escapes() -> None:
    (_, row) = table((Column("A"),), [("\x1b[2J\r\nboo\u202e",)], 80)
    assert row.isprintable()


@given(
    st.lists(st.tuples(*[st.text(max_size=30)] * 4), max_size=5),
    st.integers(1, 60),
)
def test_nothing_is_wider_than_the_screen_or_unprintable(rows: list[tuple[str, ...]], width: int) -> None:
    for line in table(COLUMNS, rows, width):
        assert width_of(line) <= width
        assert line.isprintable()
