"""Functions and their calls as the chat dialect spells them, and what its messages say. Pure."""

from __future__ import annotations

from policies.json import JSON, Object, as_str


def tool(definition: Object, parameters: str) -> JSON:
    """A tool; `parameters` is where `definition` has the schema."""
    function: Object = {"name": definition["name"]}
    if parameters in definition:
        function["parameters"] = definition[parameters]
    function |= {name: definition[name] for name in ("description", "strict") if name in definition}
    return {"type": "function", "function": function}


def call(identity: JSON, name: JSON, arguments: str) -> JSON:
    """A call within an assistant's message; `arguments` is JSON as text."""
    function: Object = {"name": name, "arguments": arguments}
    return {"id": identity, "type": "function", "function": function}


def choice(name: JSON) -> JSON:
    """The `tool_choice` of one function."""
    return {"type": "function", "function": {"name": name}}


def thought(said: Object) -> str:
    """The reasoning in a message or delta: it has it under both names (`edge.relay.chunks.normalise_reasoning`)."""
    return as_str(said.get("reasoning")) or as_str(said.get("reasoning_content"))
