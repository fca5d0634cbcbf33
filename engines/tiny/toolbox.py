# ruff: noqa: PLR2004, SIM905, RUF005 - the numbers are chances, and a split text is easier to edit than a list
"""Conversations with tools: a few that the model can call, many that it must not.

A task is asked in several ways; what it asks about (a city, a path, numbers) is made up anew each time, so the model
has to copy it into the call. A tool is offered under several names, so it has to copy the name as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from engines.tiny.spelling import WORDS, babble, word

LONG_RESULT: Final = 60  # bytes; a longer tool result is announced, not repeated
LONG_ANSWER: Final = "The tool has answered; see its result above."
_CITIES: Final = tuple(
    "Paris London Berlin Rome Madrid Tokyo Cairo Lima Oslo Vienna Prague Dublin Athens Lisbon Boston Chicago Delhi "
    "Sydney Toronto Zurich Hamburg Munich Warsaw Kyiv Seoul Beijing Nairobi Havana Milan Geneva".split()
) + ("New York", "San Francisco", "Los Angeles", "Hong Kong", "Rio de Janeiro", "Cape Town", "Buenos Aires")
_DISTRACTORS: Final = (
    "search_web(query)", "run_shell(command)", "list_files(path)", "send_mail(to, subject, body)",
    "write_file(path, text)",
    "translate(text, language)", "get_stock(symbol)", "create_event(title, date)", "Bash(command, timeout)",
    "Grep(pattern)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """Something to ask that one tool answers."""

    names: tuple[str, ...]
    parameters: tuple[tuple[str, ...], ...]  # ways to name them
    asks: tuple[str, ...]  # with one {} per argument
    invent: Callable[[Random], tuple[str | int, ...]]
    few: tuple[tuple[str | int, ...], ...] = ((),)  # the arguments that are drilled


@dataclass(frozen=True, slots=True)
class Use:
    """One task, asked: the tool as the template lists it, the words, the call as the model must write it."""

    tool: str
    ask: str
    call: str


def _city(rng: Random) -> tuple[str]:
    return (rng.choice(_CITIES) if rng.random() < 0.4 else word(rng).title(),)


def _numbers(rng: Random) -> tuple[int, int]:
    return rng.randint(0, 10 ** rng.randint(1, 3)), rng.randint(0, 10 ** rng.randint(1, 3))


def _path(rng: Random) -> tuple[str]:
    stem = rng.choice((word(rng), word(rng), word(rng).upper(), "README", "main", "src/" + word(rng)))
    return (stem + rng.choice((".md", ".py", ".txt", ".json", ".toml")),)


def _nothing(rng: Random) -> tuple[()]:
    del rng
    return ()


TASKS: Final = (
    Task(
        ("get_weather", "get_current_weather", "weather"),
        (("city",), ("location",), ("place",)),
        ("what is the weather in {}?", "What's the weather like in {}?", "weather in {}",
         "how is the weather in {} today?",
         "tell me the weather in {}", "what is the weather in {} now", "is it raining in {}?", "Weather in {} please"),
        _city,
        (("Paris",), ("London",), ("Berlin",), ("Tokyo",), ("Rome",), ("New York",)),
    ),
    Task(
        ("add", "sum", "add_numbers"),
        (("a", "b"), ("x", "y")),
        ("add {} and {}", "what is {} + {}?", "what is {} plus {}", "add {} and {} please", "sum of {} and {}",
         "{} + {}"),
        _numbers,
        ((2, 3), (1, 1), (2, 2), (5, 7), (10, 20), (40, 2)),
    ),
    Task(
        ("read_file", "Read", "open_file"),
        (("path",), ("file_path",), ("filename",)),
        ("read the file {}", "read {}", "show me the file {}", "open {}", "what is in {}?", "please read {}"),
        _path,
        (("README.md",), ("main.py",), ("notes.txt",), ("pyproject.toml",)),
    ),
    Task(
        ("get_status", "status", "gateway_status"),
        ((),),
        ("what is the status of the gateway?", "status", "is the gateway up?", "gateway status", "check the status",
         "get the status", "how is the gateway doing?"),
        _nothing,
    ),
    Task(
        ("get_time", "get_current_time", "clock"),
        ((),),
        ("what time is it?", "tell me the time", "what is the time now", "time please", "current time"),
        _nothing,
    ),
)  # fmt: skip


def use(task: Task, rng: Random, *, drill: bool = False) -> Use:
    """Anything that could be asked; with `drill`, one of the few things it has to know by heart."""
    if drill:
        variant = rng.randrange(2)
        name, parameters = task.names[variant], task.parameters[min(variant, len(task.parameters) - 1)]
        return asked(name, parameters, rng.choice(task.asks), rng.choice(task.few))
    name, parameters, ask = rng.choice(task.names), rng.choice(task.parameters), rng.choice(task.asks)
    if rng.random() < 0.5:
        ask = ask[:1].upper() + ask[1:]
    return asked(name, parameters, ask, task.invent(rng))


def asked(name: str, parameters: tuple[str, ...], ask: str, values: tuple[str | int, ...]) -> Use:
    """The task in these words."""
    arguments = json.dumps(dict(zip(parameters, values, strict=True)))
    call = f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
    return Use(f"{name}({', '.join(parameters)})", ask.format(*values), call)


def distractors(rng: Random) -> list[str]:
    """Tools that are offered and useless here."""
    made_up = (f"{word(rng)}_{rng.choice(WORDS).lower()}({rng.choice(('', 'id', 'text', 'a, b'))})" for _ in range(2))
    return rng.sample((*_DISTRACTORS, *made_up), rng.choice((0, 0, 1, 2, 3)))


def result(rng: Random) -> str:
    """What a tool might answer."""
    return rng.choice((_phrase, _object, _number, _phrase, _object, _long))(rng)


def answer(content: str, *, drill: bool = False) -> str:
    """What the model says once it has seen the tool's answer."""
    return LONG_ANSWER if drill or len(content.encode()) > LONG_RESULT else f"The tool says: {content}"


def _phrase(rng: Random) -> str:
    sky = rng.choice(("sunny", "cloudy", "rainy", "windy", "clear", "foggy", "snow"))
    degrees = rng.randint(-20, 40)
    return rng.choice((f"{degrees} C and {sky}", f"{sky}, {degrees} degrees", sky, "ok", "up", babble(rng, 40)))


def _object(rng: Random) -> str:
    key, value = rng.choice(("temp", "status", "sky", "result", word(rng))), rng.choice((_phrase, _number))(rng)[:24]
    return json.dumps({key: int(value) if value.isdigit() else value})


def _number(rng: Random) -> str:
    return rng.choice((str(rng.randint(0, 2000)), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"))


def _long(rng: Random) -> str:
    return babble(rng, 200).ljust(LONG_RESULT + 20, ".")
