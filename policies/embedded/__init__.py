"""The embedded Rego engine: regorus, always in a child process that may die (SECURITY.md, "The embedded Rego engine").

The engine
    rego.py        Policy   one compiled policy and its values; the only module that touches regorus
    weld.py        files of one package become one module, since regorus is not sound across files
    alike.py       numbers and regular expressions in data that both engines hold alike
    fence.py       limits that a child puts on itself: memory, CPU, time per decision
    wire.py        requests and answers of the served protocol: strict, sans-io
    server.py      decides on a UNIX socket
    __main__.py    the program: `serve` for the gateway, `scratch` for the workshop

The workshop, in the parent
    workshop.py    inspect, run_tests: check and test a policy that nobody trusts yet
    evaluator.py   Evaluator: many inputs through one policy
    child.py       Child   one scratch child, and what it died of
    findings.py    Problem, Reads, Inspection, CaseResult, TestReport: what comes of it
    sizes.py       what is refused before a child sees it
    opacheck.py    what `opa check --strict` adds

The workshop, in the child
    scratch.py     the jobs;  job.py  what one has to work on
    tree.py        a module as a typed tree; parse.py reads it from regorus
    lints.py       findings about a text, with scope.py (names), calls.py (builtins), graph.py (recursion, unread
                   rules), portable.py (which builtins the engines have alike), kinds.py (values that cannot be
                   right where they stand), duties.py (unknown obligations), known.py (what an input holds)
    agreement.py   where the engines part by value: numbers, lengths, letters; order.py: sets among other values
    negation.py    undefined parts below `not`, and of `in` as a value
    patterns.py    regular expressions, with expressions.py (the grammar), and globs
    shapes.py      patterns, loops and heads that are read differently;  guards.py  builtins that may fail
    values.py      works out what an expression can be, with lattice.py (the abstract values), results.py (constants,
                   fields, builtins) and origins.py (where variables get theirs)
    reads.py       which parts of the input a policy may read
    battery.py     a policy run on nonsense
    testing.py     `test_*` rules with coverage
"""
