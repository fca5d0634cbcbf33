"""docs/fields.md says what the code does."""

from __future__ import annotations

from tests.edge.dialects import fields


def test_the_page_is_what_the_code_does() -> None:
    page = fields.PAGE.read_text(encoding="utf-8")
    assert sorted(fields.named(page)) == sorted(fields.tables())
    assert fields.filled(page) == page, "run: python -m tests.edge.dialects.fields"


def test_every_field_has_been_thought_about() -> None:
    """A field that goes on has a value here, so that the page can say what becomes of it."""
    for name, route in fields.ROUTES.items():
        known = {within or field for within, field, _ in fields._names(route)} | {*route.least}
        assert known == {*route.spec.fields()}, name


def test_nothing_that_real_clients_send_is_refused() -> None:
    assert not [line for line in fields.of_clients() if "refused" in line]
