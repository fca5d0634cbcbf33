"""An app that knows two things: where the gateway is, and its own token. Standard library only, to be read in a minute;
the OpenAI SDK reads the same two from OPENAI_BASE_URL and OPENAI_API_KEY and needs no other line changed.

Prints the answer as it comes, then `done`; or `refused: STATUS CODE`. Exit code 0 or 1.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

BASE = os.environ["OPENAI_BASE_URL"].rstrip("/")
MODEL = os.environ.get("LLM_MODEL", "tiny")
QUESTION = os.environ.get("QUESTION", "What is llm-gateway?")


def token() -> str | None:
    """From a secret's file, else from the environment (as the Compose provider sets it)."""
    file = os.environ.get("OPENAI_API_KEY_FILE")
    return Path(file).read_text(encoding="ascii").strip() if file else os.environ.get("OPENAI_API_KEY")


def request() -> urllib.request.Request:
    """One question, to be answered as a stream."""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"content-type": "application/json"}
    if key := token():
        headers["authorization"] = f"Bearer {key}"
    return urllib.request.Request(f"{BASE}/chat/completions", json.dumps(body).encode(), headers)  # noqa: S310 - as told


def show(stream: HTTPResponse) -> bool:
    """Print the pieces as they come; whether the stream came to its proper end."""
    whole = False
    for line in stream:
        if line.startswith(b"data: [DONE]"):
            whole = True
        elif line.startswith(b"data: "):
            for choice in json.loads(line[6:]).get("choices", ()):
                print(choice["delta"].get("content") or "", end="", flush=True)
    return whole


def main() -> int:
    """Ask once."""
    try:
        with urllib.request.urlopen(request(), timeout=120) as stream:  # noqa: S310 - as told
            whole = show(stream)
    except urllib.error.HTTPError as error:
        refusal = json.loads(error.read())["error"]
        print(f"refused: {error.code} {refusal['code']}")
        return 1
    print("\ndone" if whole else "\ncut")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
