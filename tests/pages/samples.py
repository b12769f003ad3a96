"""The files of data that blocks of the documentation read."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from data_pairs import BEST_OF, PPE
from data_questions import DOCUMENTS, EXPORTED, OWN
from laserve.lab.pools.pool import write
from report_pools import make_report_pool

_ROWS = 24


def _varied(row: dict[str, Any], **changes: str) -> list[dict[str, Any]]:
    """Rows like one, with the number of each in the places of `{}`."""
    return [
        row | {name: text.format(number) for name, text in changes.items()} for number in range(1, _ROWS + 1)
    ]


@cache
def _lines() -> dict[str, str]:
    rows = {
        "questions.jsonl": _varied(OWN, id="q{}", question="Who built clock {}?"),
        "preferences.jsonl": _varied(PPE, question_id="p{}", prompt="Who built clock {}?"),
        "correctness.jsonl": _varied(BEST_OF, question_id="c{}", prompt="Who built clock {}?"),
        "export.jsonl": _varied(EXPORTED, id="d{}", question="Who built clock {}?"),
        "requests.jsonl": [
            {"question": f"Who built clock {number}?", "documents": DOCUMENTS} for number in range(_ROWS)
        ],
    }
    return {name: "".join(json.dumps(row) + "\n" for row in lines) for name, lines in rows.items()}


def lay_out(folder: Path) -> None:
    """Write the sample files into a folder."""
    for name, text in _lines().items():
        (folder / name).write_text(text, encoding="utf-8")
    write(make_report_pool(40), folder / "pool.parquet")
