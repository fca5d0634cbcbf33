"""The embedded engine in this process, for tests that ask it thousands of questions: no child, no socket."""

from __future__ import annotations

import json

from policies.bundle import Bundle
from policies.embedded.rego import Policy
from policies.json import JSON, Object
from policies.result import Decision, read_decision


class InProcess:
    """One policy; belongs to the thread that made it."""

    def __init__(self, bundle: Bundle) -> None:
        self._policy = Policy(bundle.modules, bundle.data)

    def value(self, rule: str, document: Object) -> JSON:
        """The value of a rule, given as a full path, for the input `document`."""
        text = self._policy.value(json.dumps(document), rule)
        assert text is not None, "undefined"
        found: JSON = json.loads(text)
        return found

    def decide(self, document: Object) -> Decision:
        """The decision on the input `document`."""
        return read_decision(self.value("data.gateway.authz.decision", document))
