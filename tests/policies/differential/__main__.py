"""`python -m tests.policies.differential`: prints what the engines answer differently."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.policies.differential.comparison import compared
from tests.policies.differential.differences import REFUSED_AS_INPUT


def main() -> None:
    """The report, on standard output."""
    with tempfile.TemporaryDirectory() as folder:
        found = compared(Path(folder))
    different = [each for each in found if each.differs]
    for each in different:
        by = "`policy eval` and the embedded engine" if each.case.name in REFUSED_AS_INPUT else "`policy check`"
        advice = f"refused by {by}"
        lines = (f"{each.case.topic}: {each.case.name}", f"OPA       {each.opa}", f"embedded  {each.embedded}", advice)
        sys.stdout.write("\n    ".join(lines) + "\n")
    sys.stdout.write(f"{len(different)} of {len(found)} cases differ\n")


if __name__ == "__main__":
    main()
