"""What an engine's error answer means to the caller, and what of it the operator may read.

Engines echo prompts in their errors (template errors quote messages, llama.cpp quotes the JSON it could not parse), so
no message text leaves this module: it is looked at to find the cause, and the log gets status, `type` and `code` only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

import orjson

from policies.errors import EngineBroke, EngineRefused, EngineTimeout, UpstreamError
from policies.json import JSON, as_object, as_str
from policies.reasons import CAUSES, Reason

BUSY_RETRY: Final = 2.0
MAX_RETRY: Final = 300.0

_TYPE: Final = re.compile(r"[a-z]{1,16}/[a-z0-9.+\-]{1,48}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.\-]{1,48}")
_TOO_LONG_CODES: Final = frozenset({"exceed_context_size_error", "context_length_exceeded"})
# vLLM says only "BadRequestError" and LM Studio only a string: the sentence is the sole sign of a prompt too long.
_TOO_LONG_TEXT: Final = re.compile(
    r"maximum context length|maximum model length|max_model_len|context (?:size|window|length|overflow)|overflows"
)
_TOO_LARGE_TEXT: Final = "is too large to process"
"""llama-server's 500 for a text to embed, or to rank, that is longer than its batch."""
_TEXT_LIMIT: Final = 2048

_MEANS: Final = {
    400: Reason.ENGINE_REFUSED,
    413: Reason.ENGINE_REFUSED,
    422: Reason.ENGINE_REFUSED,
    404: Reason.NO_ENGINE,  # the catalogue said it is there; it went away since, and the next refresh sees it
    429: Reason.ENGINE_BUSY,
    503: Reason.ENGINE_BUSY,  # llama-server while loading, DMR while installing a backend
    501: Reason.OPERATION_NOT_SUPPORTED,  # llama-server started without --embeddings
}
# A 404 of these words is about the route, not about the model (FastAPI, llama-server, Go's net/http): vLLM has those
# for ranking only where it serves such a model, and Docker Model Runner hands `/score` on to engines without one.
_NO_ROUTE: Final = frozenset({"not found", "file not found", "404 page not found"})
# vLLM of 2025 has the routes always, and answers 400 in words.
_NOT_OFFERED: Final = re.compile(r"does not support (?:the )?['\"]?(?:score|scoring|rerank|embeddings?|tokenize)\b")
_SLOW: Final = frozenset({408, 504})
# The engine refused the GATEWAY's key, Host or Origin. A 401 would tell callers that their key is bad.
_SHUT_OUT: Final = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True)
class Complaint:
    """An engine's error, read: `kind`, `code` and `form` (the content type, where it is not JSON) are short plain words
    or "", `text` is never shown to anybody."""

    kind: str = ""
    code: str = ""
    text: str = ""
    form: str = ""

    def detail(self, status: int) -> str:
        """For the operator's log: bounded, no control characters, nothing a caller wrote."""
        parts = [f"status {status}"]
        parts += [f"type {self.kind}"] if self.kind else []
        parts += [f"code {self.code}"] if self.code else []
        parts += [self.form] if self.form else []
        return ", ".join(parts)


def read(content_type: str, body: bytes) -> Complaint:
    """Read every known shape: OpenAI's object, `{"error":"text"}`, FastAPI's `{"detail":...}`, Anthropic's, plain."""
    try:
        document = cast("JSON", orjson.loads(body))
    except orjson.JSONDecodeError:
        # mlx-lm labels plain text as JSON: the parser decides, the label is only noted.
        form = content_type if _TYPE.fullmatch(content_type) else "not JSON"
        return Complaint(text=body[:_TEXT_LIMIT].decode("utf-8", "replace").lower(), form=form)
    fields = as_object(document)
    error = fields.get("error", fields.get("detail", fields))
    if isinstance(error, str):
        return Complaint(text=error[:_TEXT_LIMIT].lower())
    inner = as_object(error)
    text = as_str(inner.get("message"))[:_TEXT_LIMIT].lower()
    return Complaint(word(inner.get("type")), word(inner.get("code")), text)


def word(value: JSON) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""


def explain(status: int, complaint: Complaint, retry_after: float | None) -> UpstreamError:
    """The error for `status` (also for an error object inside a stream: give its code, or 500)."""
    detail = complaint.detail(status)
    reason = _meaning(status, complaint)
    if reason is not None:
        wait = patience(retry_after) if CAUSES[reason].retry else None
        return EngineRefused(reason, detail=detail, retry_after=wait)
    if status in _SLOW:
        return EngineTimeout(detail)
    if status in _SHUT_OUT:
        return EngineBroke(f"{detail}: the engine refuses the gateway, check api_key_file and its allowed hosts")
    return EngineBroke(detail)


def _meaning(status: int, complaint: Complaint) -> Reason | None:
    if _too_long(status, complaint):
        return Reason.CONTEXT_LENGTH_EXCEEDED
    if status == HTTPStatus.BAD_REQUEST and _NOT_OFFERED.search(complaint.text):
        return Reason.OPERATION_NOT_SUPPORTED
    return _MEANS.get(status)


def is_no_route(status: int, complaint: Complaint) -> bool:
    """Whether the engine says that it has no such route at all, not that it lacks the model."""
    return status == HTTPStatus.NOT_FOUND and complaint.text.strip() in _NO_ROUTE


def patience(retry_after: float | None) -> float:
    """Seconds to tell the caller: the engine's own wish within reason."""
    return BUSY_RETRY if retry_after is None else min(max(retry_after, 1.0), MAX_RETRY)


def _too_long(status: int, complaint: Complaint) -> bool:
    if complaint.kind in _TOO_LONG_CODES or complaint.code in _TOO_LONG_CODES:
        return True
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _TOO_LARGE_TEXT in complaint.text
    return status in (400, 413, 422) and _TOO_LONG_TEXT.search(complaint.text) is not None
