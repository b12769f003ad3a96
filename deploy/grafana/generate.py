"""The dashboards as JSON: ``python deploy/grafana/generate.py`` writes them into `dashboards/`."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from boards import bandit_choices, reward_models, service
from boards.parts import Board
from boards.rendering import render

FOLDER = Path(__file__).parent / "dashboards"
#: File -> its board.
BOARDS: dict[str, Board] = {
    "bandit-choices.json": bandit_choices.BOARD,
    "service.json": service.BOARD,
    "reward-models.json": reward_models.BOARD,
}


def document(board: Board) -> str:
    """The JSON of a board; equal boards give equal texts."""
    return json.dumps(render(board), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, board in BOARDS.items():
        (FOLDER / name).write_text(document(board), encoding="utf-8")


if __name__ == "__main__":
    main()
