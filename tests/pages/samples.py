"""The files of data that blocks of the documentation read."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from data_pairs import BEST_OF, PPE
from data_questions import EXPORTED, OWN
from laserve.lab.pools.pool import write
from report_pools import make_report_pool

#: Rows of each file; `laserve fit-context` needs more than 32.
_ROWS = 60


def _documents(number: int) -> list[dict[str, Any]]:
    """Documents of a row's own, so that its source differs from that of other rows."""
    market = f"In town {number}, fish is sold at six."
    return [{"title": f"Velm {number}", "text": market}, {"text": f"Ada Thorn built clock {number} in 1874."}]


def _asked(number: int) -> dict[str, Any]:
    return {"question": f"Who built clock {number}?", "documents": _documents(number)}


#: Name of a file -> its row of a number.
_FILES: dict[str, Callable[[int], dict[str, Any]]] = {
    "questions.jsonl": lambda number: OWN | _asked(number) | {"id": f"q{number}"},
    "preferences.jsonl": lambda number: (
        PPE | {"question_id": f"p{number}", "prompt": f"Who built clock {number}?"}
    ),
    "correctness.jsonl": lambda number: (
        BEST_OF | {"question_id": f"c{number}", "prompt": f"Who built clock {number}?"}
    ),
    "export.jsonl": lambda number: (
        EXPORTED | _asked(number) | {"id": f"d{number}", "metadata": {"source": f"article {number}"}}
    ),
    "requests.jsonl": _asked,
}


@cache
def _text(name: str) -> str:
    return "".join(json.dumps(_FILES[name](number)) + "\n" for number in range(1, _ROWS + 1))


def lay_out(folder: Path) -> None:
    """Write the sample files into a folder."""
    for name in _FILES:
        (folder / name).write_text(_text(name), encoding="utf-8")
    write(make_report_pool(40), folder / "pool.parquet")
