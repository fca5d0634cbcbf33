"""What `provider.options` may hold: one table, for the parser and for `metadata`. Pure.

Compose hands on only what `metadata` names, as `--NAME=VALUE`, once per value of a list; everything else it drops
without a word. So `up` says which limits hold (provider.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from edge.cli.arguments import checked
from edge.identity import grant as checks
from policies.json import JSON, Object
from policies.names import is_name


@dataclass(frozen=True, slots=True)
class Option:
    """One: `kind` in metadata's words, `read` from Compose's text (ValueError); `many` may be a list."""

    name: str
    kind: Literal["string", "integer", "boolean"]
    help: str
    read: Callable[[str], object]
    default: str | None = None
    required: bool = False
    many: bool = False

    @property
    def document(self) -> Object:
        """As `metadata` gives it. Compose reads `default` as text."""
        found: Object = {
            "name": self.name,
            "description": self.help,
            "required": self.required,
            "type": self.kind,
        }
        return found if self.default is None else found | {"default": self.default}


def _model(text: str) -> str:
    if not is_name(text):
        raise ValueError("is not a model's name: letters, digits and ._:/@+-, no wildcards")
    return text


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def _url(text: str) -> str:
    parts = urlsplit(text)
    # urlsplit drops tabs and line breaks without a word; the variable would have them.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a URL, without spaces and line breaks")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be a URL like http://llm-gateway:8080/v1")
    return text.rstrip("/")


OPTIONS: Final = (
    Option("model", "string", "the model the service may use; a list for several", _model, required=True, many=True),
    Option("rpm", "integer", "requests per minute", checks.count),
    Option("tpm", "integer", "tokens per minute", checks.count),
    Option("tpd", "integer", "tokens per day", checks.count),
    Option("concurrency", "integer", "requests at once", checks.count),
    Option("priority", "string", "band in the queue: interactive, normal or batch", checks.word),
    Option("preset", "string", "the preset whose defaults and bounds its requests have", checks.preset),
    Option("pull", "boolean", "have an engine fetch the model if none has it", _flag, default="false"),
    Option("engine", "string", "which engine is to fetch it, where several could", checks.word),
    Option("url", "string", "where containers find the gateway, like http://llm-gateway:8080/v1", _url),
    Option("check", "boolean", "see whether the policy lets the key use the model, from here", _flag, default="true"),
    Option("openai_env", "boolean", "also set OPENAI_BASE_URL and OPENAI_API_KEY as they are", _flag, default="true"),
)


def metadata() -> Object:
    """The answer to `compose metadata`. There is no `stop`: a stopped stack's key stays, since `docker compose start`
    asks no provider."""
    up: list[JSON] = [option.document for option in OPTIONS]
    return {
        "description": "A key of llm-gateway for this stack and service, with its model and limits",
        "up": {"parameters": up},
        "down": {"parameters": list[JSON]()},
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--NAME=VALUE` of every option; not given is None, or [] of a list."""
    for option in OPTIONS:
        parser.add_argument(
            f"--{option.name}",
            type=checked(option.read),
            action="append" if option.many else "store",
            required=option.required,
            default=None if option.default is None else option.read(option.default),
            metavar="VALUE",
            help=option.help,
        )
