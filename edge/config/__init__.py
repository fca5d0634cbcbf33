"""One YAML file -> frozen, typed settings. Every mistake is told at once, with its place and what to write instead.

    settings.py   Settings and its parts: dataclasses, the only list of keys, defaults, ranges and help texts
    telemetry.py  the settings of the records: what is written down, sent, and kept
    presets.py    the settings of presets, and the built-in ones
    load.py       load()    find the file, read it, decode it, check it
    document.py   text -> nodes, by PyYAML's event parser: no tags, no aliases, bounded size and depth
    nodes.py      Scalar | Sequence | Mapping, each with its place
    values.py     value types that the standard library lacks;   targets.py  the settings that say where something is
    leaves.py     the kinds of scalar (text, seconds, size, bind, secret ...): how each is read, shown and described
    shapes.py     type hints of a dataclass -> Shape; read once, walked by the three below
    decode.py     nodes + Shape -> value or problems
    schema.py     Shape -> JSON Schema
    show.py       value + Shape -> plain JSON, secrets masked
    check.py      what types cannot say: names used twice, two listeners on one address, TLS;
                  check_policy.py  what grants refer to;   check_keys.py  keys of services and their secret files
    problems.py   Problem, ConfigError

Why not a library: docs/decisions/0005-configuration.md.
"""
