"""An application that knows OpenAI's two variables and the model's name, and nothing of the gateway."""

import json
import os
import signal
import urllib.error
import urllib.request


def post(path: str, document: object) -> dict[str, object]:
    """One request; the answer's document, also of an error."""
    request = urllib.request.Request(  # noqa: S310 - the address is the gateway's
        os.environ["OPENAI_BASE_URL"] + path,
        json.dumps(document).encode(),
        {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            found: dict[str, object] = json.load(answer)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return found


QUESTION = {"role": "user", "content": "Say hello."}
print(json.dumps(post("/chat/completions", {"model": os.environ["LLM_MODEL"], "messages": [QUESTION]})))
signal.sigwait({signal.SIGTERM, signal.SIGINT})
