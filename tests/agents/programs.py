"""How each program is told where the gateway is, and how one asks it something."""

from __future__ import annotations

import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

from policies.json import Object, as_str
from tests.agents.seat import NOTE, Running, Seat
from tests.system.process import ROOT
from tests.system.wire import loads

_AGENTS: Final = ROOT / ".clients" / "agents" / "node_modules"
_PYTHON: Final = ROOT / ".clients" / "llm" / "bin"
_PLATFORM: Final = "{}-{}".format(
    platform.system().lower(), {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
)
Command: TypeAlias = tuple[tuple[str, ...], Mapping[str, str]]
"""Arguments, and what to add to the environment."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What a program makes of a refusal: how many requests of one question reach the gateway, and what it shows."""

    requests: int
    shows: str


class Program(ABC):
    """One program. `asked`: the requests of a question that needs no tool."""

    name: ClassVar[str]
    route: ClassVar[str]
    asked: ClassVar[int] = 1
    shows_pieces: ClassVar[bool]
    """Whether it shows text while more is to come."""
    tool: ClassVar[str]
    forbidden: ClassVar[Refused]
    used_up: ClassVar[str | None]
    """What it shows of a 429 that is not to be tried again; None: it tries again all the same, for ever."""
    patient: ClassVar[bool]
    """Whether it tries again after a 429 that says when."""

    @abstractmethod
    def reading(self, seat: Seat) -> Object:
        """The arguments with which its tool reads the note."""

    @abstractmethod
    def settle(self, seat: Seat) -> None:
        """Write its configuration."""

    @abstractmethod
    def command(self, seat: Seat, question: str, *, on: bool) -> Command:
        """Ask `question`; `on`: in the conversation that was the last."""

    def ask(self, seat: Seat, question: str, *, on: bool = False) -> Running:
        """Start it."""
        argv, environment = self.command(seat, question, on=on)
        assert Path(argv[0]).exists(), f"not installed: {argv[0]} (make venv-dev)"
        return Running(seat, argv, environment)

    def answer(self, shown: str) -> str:
        """The last line of what the model said, of all that was shown at the end."""
        return shown.strip().splitlines()[-1]

    @classmethod
    def exists(cls) -> bool:
        """Whether there is a package of it for this machine that the lock file knows."""
        return True


class ClaudeCode(Program):
    name = "claude-code"
    route = "/v1/messages"
    shows_pieces = True
    tool = "Read"
    forbidden = Refused(1, "API Error: 403 The credential may not use this model.")
    used_up = "Request rejected (429) · A limit is used up."
    patient = True

    def reading(self, seat: Seat) -> Object:
        return {"file_path": str(seat.note)}

    def settle(self, seat: Seat) -> None:
        """All of it stands in the environment."""

    def answer(self, shown: str) -> str:
        results = (line for line in shown.splitlines() if '"type":"result"' in line)
        return as_str(loads(next(results))["result"]).splitlines()[-1]

    def command(self, seat: Seat, question: str, *, on: bool) -> Command:
        binary = _AGENTS / "@anthropic-ai" / f"claude-code-{_PLATFORM}" / "claude"
        pieces = ("--output-format", "stream-json", "--include-partial-messages", "--verbose")
        more = ("--continue",) if on else ()
        return (str(binary), "-p", question, "--allowedTools", "Read", *pieces, *more), {
            "ANTHROPIC_BASE_URL": seat.base,
            "ANTHROPIC_AUTH_TOKEN": seat.key.secret,
            "ANTHROPIC_MODEL": seat.model,
            "ANTHROPIC_SMALL_FAST_MODEL": seat.model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
        }


class Codex(Program):
    name = "codex"
    route = "/v1/responses"
    shows_pieces = False
    tool = "exec_command"
    forbidden = Refused(1, "unexpected status 403 Forbidden: The credential may not use this model.")
    used_up = "exceeded retry limit, last status: 429 Too Many Requests"  # it hides the text
    patient = False

    def reading(self, seat: Seat) -> Object:
        return {"cmd": f"cat {NOTE}"}

    def settle(self, seat: Seat) -> None:
        """Plugins and apps are looked for at github.com and chatgpt.com at every start."""
        home = seat.home / ".codex"
        home.mkdir()
        (home / "config.toml").write_text(
            f"""
model = "{seat.model}"
model_provider = "gw"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
apps = false
plugins = false

[model_providers.gw]
name = "llm-gateway"
base_url = "{seat.base}/v1"
env_key = "GW_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
        )

    def command(self, seat: Seat, question: str, *, on: bool) -> Command:
        (binary,) = _AGENTS.glob(f"codex-{_PLATFORM}/vendor/*/bin/codex")
        more = ("resume", "--last") if on else ()
        options = ("--skip-git-repo-check", "--sandbox", "read-only")
        return (str(binary), "exec", *options, *more, question), {"GW_KEY": seat.key.secret}


class OpenCode(Program):
    name = "opencode"
    route = "/v1/chat/completions"
    asked = 2  # a title for the session, and the question
    shows_pieces = False
    tool = "read"
    forbidden = Refused(2, "The credential may not use this model.")
    used_up = None
    patient = True

    def reading(self, seat: Seat) -> Object:
        return {"filePath": str(seat.note)}

    def settle(self, seat: Seat) -> None:
        """Where the lock file of its folder names the package for plugins, npm is not asked for it."""
        provider: Object = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "gw",
            "options": {"baseURL": f"{seat.base}/v1", "apiKey": "{env:GW_KEY}"},
            "models": {seat.model: {"name": "tiny"}},
        }
        model = f"gw/{seat.model}"
        settings: Object = {
            "autoupdate": False,
            "share": "disabled",
            "model": model,
            "small_model": model,
            "provider": {"gw": provider},
        }
        (seat.work / "opencode.json").write_text(json.dumps(settings))
        folder = seat.home / ".config" / "opencode"
        (folder / "node_modules").mkdir(parents=True)
        locked: Object = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
        (folder / "package-lock.json").write_text(json.dumps(locked))

    def command(self, seat: Seat, question: str, *, on: bool) -> Command:
        binary = _AGENTS / f"opencode-{_PLATFORM}" / "bin" / "opencode"
        more = ("--continue",) if on else ()
        return (str(binary), "run", *more, question), {
            "GW_KEY": seat.key.secret,
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        }

    @classmethod
    def exists(cls) -> bool:
        return _PLATFORM == "linux-x64"  # the lock file knows no other


class Llm(Program):
    """Simon Willison's `llm` with its plugin for Ollama: the program that speaks Ollama's own protocol, with a key."""

    name = "llm"
    route = "/api/chat"
    shows_pieces = True
    tool = "read_note"
    forbidden = Refused(0, "Unknown model")  # it asks for the list first, where a forbidden model does not stand
    used_up = "A limit is used up."
    patient = False

    def reading(self, seat: Seat) -> Object:
        return {"name": NOTE}

    def settle(self, seat: Seat) -> None:
        """Functions are its tools."""
        code = 'def read_note(name: str) -> str:\n    """Read a note."""\n    return open(name).read()\n'
        (seat.home / "tools.py").write_text(code)

    def command(self, seat: Seat, question: str, *, on: bool) -> Command:
        more = ("--continue",) if on else ()
        tools = ("--functions", str(seat.home / "tools.py"))
        return (str(_PYTHON / "llm"), "-m", f"ollama/{seat.model}", *tools, *more, question), {
            "OLLAMA_HOST": seat.base,
            "OLLAMA_API_KEY": seat.key.secret,
            "LLM_USER_PATH": str(seat.home / "llm"),
        }


PROGRAMS: Final[tuple[Program, ...]] = (ClaudeCode(), Codex(), OpenCode(), Llm())
