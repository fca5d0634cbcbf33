"""Where a request stands, in one word, from its first byte to its last."""

from __future__ import annotations

from observability.live.phases import Phase, phase_of
from tests.observability.live.exchanges import Standing, arrived, decided, ended, streaming


def test_a_request_walks_through_the_phases_in_order() -> None:
    seen = [phase_of(arrived())]
    exchange = decided()
    seen.append(phase_of(exchange))
    exchange.progress = Standing(position=3)
    seen.append(phase_of(exchange))
    exchange.progress = Standing(loading=True)
    seen.append(phase_of(exchange))
    exchange.progress = Standing()
    exchange.stages.turn = 2.0
    seen.append(phase_of(exchange))
    exchange.stages.first_byte = 3.0
    seen.append(phase_of(exchange))
    exchange.stages.answered = 4.0
    seen.append(phase_of(exchange))
    order = [phase for phase in Phase if phase is not Phase.RUNNING]
    assert seen == order


def test_a_whole_answer_runs_without_saying_how_far() -> None:
    exchange = decided(stream=False)
    exchange.progress, exchange.stages.turn = Standing(), 2.0
    assert phase_of(exchange) is Phase.RUNNING


def test_between_permission_and_line_it_is_being_admitted() -> None:
    exchange = decided()
    exchange.progress = Standing()
    assert phase_of(exchange) is Phase.ADMISSION


def test_an_answer_that_comes_is_no_load_any_more() -> None:
    exchange = streaming()
    exchange.progress = Standing(loading=True)
    assert phase_of(exchange) is Phase.STREAMING
    assert phase_of(ended()) is Phase.FINISHING
