"""Built-in questions, about fictitious towns and people."""

import json
from importlib.resources import files
from typing import Any

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.requests import digest, make_request
from laserve.types import Document

#: Name of the file of the built-in questions in their rows.
NAME = "built-in"


def built_in() -> list[Row]:
    """The built-in questions; the metric is token F1, and questions on equal documents have one source."""
    content = json.loads((files("laserve.lab.data") / "demo.json").read_text(encoding="utf-8"))
    documents = {slug: Document(**document) for slug, document in content["documents"].items()}
    return [
        _row(row, index, tuple(documents[slug] for slug in row["documents"]))
        for index, row in enumerate(content["questions"])
    ]


def _row(row: dict[str, Any], index: int, documents: tuple[Document, ...]) -> Row:
    return Row(
        id=row["id"],
        file=NAME,
        position=f"questions[{index}]",
        request=make_request(question=row["question"], documents=documents),
        source=digest(documents),
        task=row["task"],
        metric="f1",
        references=tuple(row["answers"]),
    )
