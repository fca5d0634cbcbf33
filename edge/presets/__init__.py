"""Presets: how a model is sampled for what it is used for. Asked for as `model@preset`, by an alias, or by a key.

    fitting.py   a call and some values -> the call as it may be sent; pure, the one place that changes a request
    choice.py    which presets a request has, and the table of those there are, which follows the configuration

What a preset may say is in edge/config/presets.py, that a name may end in one in engines/catalogue.py. The order of
precedence: the policy's obligations, then ceilings and floors, then the caller, then defaults (docs/decisions/0040).
"""
