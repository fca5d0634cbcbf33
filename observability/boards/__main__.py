"""Writes all boards into observability/grafana/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from observability.boards import callers, computing, overview, request, security
from observability.boards.panels import Board

FOLDER: Final = Path(__file__).parent.parent / "grafana"
BOARDS: Final = (overview.BOARD, callers.BOARD, computing.BOARD, security.BOARD, request.BOARD)


def written(board: Board) -> str:
    """The text of a board's file."""
    return json.dumps(board.document(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(written(board), encoding="utf-8")


if __name__ == "__main__":
    main()
