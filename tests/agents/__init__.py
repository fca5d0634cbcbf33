"""The programs that people point at the gateway, run without a terminal: Claude Code, Codex, opencode, `llm`.

seat.py          where one sits: a home and a work folder, a key, a tripwire for whatever does not go to the gateway
programs.py      how each is told where to go and what to do
plays.py         what the scripted engine plays for all of them
npm/             the pinned packages; `make test` installs them into .clients/agents
"""
