"""A snapshot on screens of all sizes."""

from __future__ import annotations

import pytest

from edge.cli.live.screen import Style, screen
from edge.cli.live.table import width_of
from edge.cli.live.terminal import painted, wants_colour
from observability.live.snapshot import Engine, Process, Recent, document, look
from policies.exchange import Exchange
from policies.json import Object
from tests.observability.live.exchanges import Standing, decided, streaming


def engine(name: str, *, up: bool = True) -> Engine:
    return Engine(
        name, "ollama", up=up, slots=2, running=1, elsewhere=0, waiting=3, loading=False, models=("tiny", "big")
    )


def live(*exchanges: Exchange, engines: tuple[Engine, ...] = (engine("dmr"),)) -> Object:
    process = Process("1.2.3", 7300.0, 84 << 20, None, 0.0012, 1, draining=False)
    return document([look(each, 4.0) for each in exchanges], engines, process, Recent(60.0, {"bob": 1234}), at=0.0)


def waiting() -> Exchange:
    exchange = decided("cleo")
    exchange.progress = Standing(position=2)
    return exchange


def texts(found: Object, width: int = 120, height: int | None = None) -> list[str]:
    return [line.text for line in screen(found, width, height)]


def test_everything_is_on_a_large_screen() -> None:
    text = "\n".join(texts(live(streaming("ann", 50), waiting())))
    for word in (
        "1.2.3",
        "up 2h",
        "84 MiB",
        "1.2 ms",
        "dmr",
        "1/2",
        "big, tiny",
        "1,234",
        "queued 2",
        "streaming",
        "25.0",
    ):
        assert word in text, word


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 12, 24, 100])
def test_it_never_overflows(width: int, height: int) -> None:
    found = live(*[streaming(f"caller{n}") for n in range(40)], engines=tuple(engine(f"e{n}") for n in range(9)))
    lines = texts(found, width, height)
    assert 0 < len(lines) <= height
    assert all(width_of(line) <= width for line in lines)


def test_what_does_not_fit_is_counted() -> None:
    found = live(*[streaming(f"caller{n}") for n in range(40)])
    lines = texts(found, 100, 24)
    shown = sum("streaming" in line for line in lines)
    assert 0 < shown < 40
    assert f"... {40 - shown} more" in lines


def test_nothing_is_counted_where_all_fits() -> None:
    assert not any("more" in line for line in texts(live(streaming(), waiting()), 100, 24))


def test_an_engine_that_is_down_stands_out() -> None:
    lines = screen(live(engines=(engine("up"), engine("gone", up=False))), 80)
    assert [line.style for line in lines if "gone" in line.text] == [Style.ALERT]
    assert "down" in next(line.text for line in lines if "gone" in line.text)


def test_a_gateway_that_is_away_is_one_line() -> None:
    (line,) = screen({}, 80, 24, note="nothing answers")
    assert line == ("llm-gateway  nothing answers", Style.ALERT)


def test_names_of_others_cannot_speak_to_the_terminal() -> None:
    found = live(streaming("\x1b]0;owned\x07"))
    assert all(text.isprintable() for text in texts(found))


def test_colours_are_for_terminals_that_want_them() -> None:
    assert not wants_colour({"TERM": "xterm", "NO_COLOR": "1"})
    assert not wants_colour({"TERM": "dumb"})
    assert not wants_colour({})
    assert wants_colour({"TERM": "xterm", "NO_COLOR": ""})
    line = screen(live(), 80)[0]
    assert painted(line, colour=False) == line.text
    assert painted(line, colour=True) != line.text
