# ruff: noqa: PLR2004 - the numbers are chances
"""The page → endless conversations to train on.

A `Talk` is a list of pieces of text, each marked as the model's own words or not. The model learns to write its own
pieces; the others count less, but not nothing: predicting them is how it learns to read words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

import numpy as np

from engines.tiny import tokens, toolbox
from engines.tiny.network import Float, Ids
from engines.tiny.page import Page
from engines.tiny.spelling import WORDS, babble, noisy, word

_READING: Final = 0.4  # what a byte of somebody else's text counts, against 1 for a byte of an answer
_SYSTEMS: Final = (
    "You are a helpful assistant.", "You are a helpful assistant.", "You are tiny.", "Answer briefly.", "Be concise.",
    "You are an AI assistant for developers.", "You are a coding agent.", "Answer in English.", "",
)  # fmt: skip
_RAW: Final = (
    ("{}", "\n"), ("{}\n", ""), ("Q: {}\nA:", " "), ("Question: {}\nAnswer:", " "), ("User: {}\nAssistant:", " "),
)  # fmt: skip
_ECHO: Final = ("Say: {}", "say: {}", "Repeat: {}", "Repeat after me: {}", "Echo: {}")
_NONSENSE: Final = (
    "what is {}", "who is {}", "how do I {} a {}", "tell me about {}", "why is {} so {}", "where is the {}", "{} {} {}",
    "can you {} the {}", "{}", "write a {} about {}", "is {} better than {}", "explain {} to me", "when was {} made",
    "what does {} mean", "how many {} are there", "I like {}", "give me a {} for {}", "which {} is the best",
)  # fmt: skip


@dataclass(slots=True)
class Talk:
    """Pieces of text in order; `own` ones are what the model is to write."""

    pieces: list[tuple[str, bool]] = field(default_factory=list)

    def turn(self, role: str, content: str) -> Talk:
        """Add a finished turn."""
        own = role == "assistant"
        self.pieces += [(f"<|im_start|>{role}\n", False), (f"{content}<|im_end|>", own), ("\n", False)]
        return self

    def offer(self, tools: list[str]) -> Talk:
        """List tools, as the chat template does."""
        if tools:
            self.pieces.append(("<|im_start|>tools\n" + "".join(t + "\n" for t in tools) + "<|im_end|>\n", False))
        return self

    def encoded(self) -> tuple[list[int], list[float]]:
        """Token ids, and what each counts."""
        ids: list[int] = []
        counts: list[float] = []
        for text, own in self.pieces:
            piece = tokens.encode(text)
            ids += piece
            counts += [1.0 if own else _READING] * len(piece)
        return ids, counts


def asked(question: str, answer: str, system: str | None = None) -> Talk:
    """The plainest conversation."""
    talk = Talk()
    if system is not None:
        talk.turn("system", system)
    return talk.turn("user", question).turn("assistant", answer)


def talk(page: Page, rng: Random, *, drill: bool = False) -> Talk:
    """One random conversation: raw text, with a useful tool, with useless ones, or plain.

    `drill` narrows the tools to what is learned by heart, and gives up what a model this small does not get to learn
    in the time: copying text that it has never seen.
    """
    chance = rng.random()
    if chance < 0.06:
        return _raw(page, rng, drill=drill)
    made = Talk()
    task = rng.choice(toolbox.TASKS) if chance < (0.4 if drill else 0.28) else None
    use = toolbox.use(task, rng, drill=drill) if task else None
    if chance < (0.45 if drill else 0.36):
        tools = [*toolbox.distractors(rng), *([use.tool] if use else [])]
        made.offer(rng.sample(tools, len(tools)))
    if rng.random() < 0.5:
        longest = 40 if rng.random() < 0.9 else 200
        made.turn("system", rng.choice(_SYSTEMS) if rng.random() < 0.5 else babble(rng, longest))
    turns = rng.choice((0, 0, 0, 1)) if use else rng.choice((1, 1, 1, 1, 2, 2, 3))
    for _ in range(turns):
        _answered(made, page, rng, task, drill=drill)
    if use:
        _called(made, use, rng, drill=drill)
        if rng.random() < 0.15:
            _answered(made, page, rng, task, drill=drill)
    return made


def _answered(made: Talk, page: Page, rng: Random, task: toolbox.Task | None, *, drill: bool) -> None:
    question, answer = _pair(page, rng, task, drill=drill)
    if rng.random() < 0.05:  # agents put reminders before the question
        question = f"{babble(rng, 90)}\n\n{question}"
    made.turn("user", question).turn("assistant", answer)


def _called(made: Talk, use: toolbox.Use, rng: Random, *, drill: bool) -> None:
    made.turn("user", use.ask).turn("assistant", use.call)
    if rng.random() < 0.6:
        result = toolbox.result(rng)
        made.turn("tool", result).turn("assistant", toolbox.answer(result, drill=drill))


def _raw(page: Page, rng: Random, *, drill: bool) -> Talk:
    """Text for /v1/completions, without roles."""
    question, answer = _pair(page, rng, None, drill=drill)
    frame, gap = rng.choice(_RAW)
    return Talk([(frame.format(question.strip()), False), (f"{gap}{answer}<|im_end|>", True)])


def _pair(page: Page, rng: Random, offered: toolbox.Task | None, *, drill: bool) -> tuple[str, str]:
    """A question as people type it, and its answer."""
    chance = rng.random()
    if chance < 0.13:
        return _stray(page, rng, offered), page.fallback.answer
    if chance < 0.23:
        question, answer = echo(rng)
        return question, page.fallback.answer if drill else answer
    entry = rng.choice(page.entries)
    question = entry.question if rng.random() < 0.25 else rng.choice((entry.question, *entry.also))
    return noisy(question, rng) if rng.random() < 0.75 else question, entry.answer


def echo(rng: Random) -> tuple[str, str]:
    """Something to say after: an exercise in looking back at what was asked."""
    text = babble(rng, 40) if rng.random() < 0.7 else f"{word(rng)}-{rng.randrange(10 ** rng.randint(1, 6))}"
    return rng.choice(_ECHO).format(text), text


def _stray(page: Page, rng: Random, offered: toolbox.Task | None) -> str:
    """A question that the page does not answer and no offered tool can."""
    chance = rng.random()
    if chance < 0.35:
        # Some of these are tool questions in the page's own words ("what time is it"): not while a tool is there.
        return noisy(rng.choice(page.fallback.also), rng) if offered is None else babble(rng, 40)
    if chance < 0.5:
        other = rng.choice([t for t in toolbox.TASKS if t is not offered and len(t.parameters[0]) > 0])
        return toolbox.use(other, rng).ask
    if chance < 0.9:
        frame = rng.choice(_NONSENSE)
        return noisy(frame.format(*(rng.choice((rng.choice(WORDS), word(rng))) for _ in range(frame.count("{}")))), rng)
    if chance < 0.95:
        return babble(rng, 120)
    return "".join(
        chr(rng.choice((rng.randint(33, 126), rng.randint(161, 1500), 0x4E00 + rng.randint(0, 999)))) for _ in range(9)
    )


def batches(page: Page, seed: int, budget: int, *, drill: bool = False) -> Iterator[tuple[Ids, Float]]:
    """Endless batches: ids BxT and counts Bx(T-1), at most `budget` tokens each with the padding.

    Conversations of like length share a batch, so that little is padded.
    """
    rng = Random(seed)
    while True:
        pool = sorted((talk(page, rng, drill=drill).encoded() for _ in range(512)), key=lambda t: len(t[0]))
        ready: list[list[tuple[list[int], list[float]]]] = [[]]
        for item in pool:  # the longest of a batch comes last
            if ready[-1] and (len(ready[-1]) + 1) * len(item[0]) > budget:
                ready.append([])
            ready[-1].append(item)
        rng.shuffle(ready)
        yield from map(padded, ready)


def padded(items: list[tuple[list[int], list[float]]]) -> tuple[Ids, Float]:
    """Encoded talks → ids BxT and counts Bx(T-1); padding counts nothing."""
    longest = max(len(ids) for ids, _ in items)
    ids = np.full((len(items), longest), tokens.END_OF_TEXT, np.int64)
    counts = np.zeros((len(items), longest), np.float32)
    for row, (item, weight) in enumerate(items):
        ids[row, : len(item)] = item
        counts[row, : len(item)] = weight
    return ids, counts[:, 1:]
