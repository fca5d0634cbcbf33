"""What of prompts and answers is kept, where a policy's obligation `capture` says so (docs/capture.md).

    settings.py    CaptureSettings   how much, how long, what is taken out
    patterns.py    Redactor          patterns of secrets, sought in bounded time
    excerpt.py     excerpt()         a bounded copy of a document, redacted later
    document.py    Capture           one request as it is written down
    sizes.py       what is said of a request and an answer without their text
    log.py         CaptureLog        writes them: an observer, and what `audit` waits for
    reader.py      find(), newest(), purge()   blocking, for a thread or a command

Files as the decision log's (`observability/decisions`), in a folder of their own.
"""
