"""Reader of SQuAD's JSON, versions 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018)."""

from collections.abc import Iterator, Mapping
from typing import Any

from laserve.lab.data.cases import BARE, TIMEOUT_S, Case, LeftOut, Location, text, texts
from laserve.types import Document, Request

EXPECTED = (
    "data [{title, paragraphs [{context, qas [{id, question, answers [{text}], and is_impossible if so}]}]}]"
)
TASK = "single-doc-qa"


def read(content: Mapping[str, Any], file: str) -> Iterator[tuple[str, Case | LeftOut]]:
    """Cases with their paths in the document; quality is token F1, and an article is one source.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a part has another form; the error names its path.
    """
    for at, article in enumerate(content["data"]):
        for p, paragraph in enumerate(article["paragraphs"]):
            for q, row in enumerate(paragraph["qas"]):
                location = Location(file=file, row=f"data[{at}].paragraphs[{p}].qas[{q}]")
                try:
                    case = _case(row, article, paragraph, location)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise ValueError(f"{location.row}: {error!r}") from error
                yield location.row, case


def _case(
    row: Mapping[str, Any], article: Mapping[str, Any], paragraph: Mapping[str, Any], location: Location
) -> Case | LeftOut:
    if row.get("is_impossible"):
        return LeftOut(reason="SQuAD: is_impossible")
    title = text(article.get("title", ""), "title")
    references = texts([answer["text"] for answer in row["answers"]], "answers")
    return Case(
        id=str(row.get("id", location.row)),
        file=location.file,
        task=TASK,
        source=title or text(paragraph["context"], "context"),
        request=Request(
            question=text(row["question"], "question"),
            documents=(Document(title=title.replace("_", " "), text=text(paragraph["context"], "context")),),
            sampling=BARE,
            timeout_s=TIMEOUT_S,
        ),
        metric="f1",
        references=tuple(dict.fromkeys(references)),
        gold=0,
    )
