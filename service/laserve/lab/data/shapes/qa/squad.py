"""SQuAD, versions 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018), as its JSON document or as rows."""

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, kind, name, required, text, texts
from laserve.lab.data.shapes.requests import make_request, make_row, nested
from laserve.types import Document

IMPOSSIBLE = LeftOut(reason="SQuAD: is_impossible")


def read_squad(values: Values, location: Location) -> Row | LeftOut:
    """The row of a question on a paragraph; the metric is token F1, and an article is one source.

    The columns are ``title``, ``context``, ``question`` and ``answers``: ``[{text, answer_start}]`` in the
    JSON document, whose questions without an answer are ``is_impossible``; ``{text, answer_start}`` with two
    lists in rows, where these questions have empty lists.

    Raises:
        BadRecord: a column has another form.
    """
    question, context = text(values, "question"), text(values, "context")
    title = name(values, "title") or ""
    if values.get("is_impossible") is True or _texts(values) == []:
        return IMPOSSIBLE
    return make_row(
        values,
        location,
        request=make_request(
            question=question, documents=(Document(title=title.replace("_", " "), text=context),)
        ),
        source=title or context,
        task="single-doc-qa",
        references=tuple(dict.fromkeys(texts({"answers": _texts(values)}, "answers"))),
        gold=0,
    )


def _texts(values: Values) -> list[object]:
    """Texts of the answers, in either form. Raises BadRecord."""
    answers = decoded(required(values, "answers"))
    if isinstance(answers, list):
        paths = [f"answers[{index}]" for index in range(len(answers))]
        return [text(nested(one, path), f"{path}.text") for one, path in zip(answers, paths, strict=True)]
    inside = nested(answers, "answers")
    given = required(inside, "answers.text")
    if not isinstance(given, list):
        raise BadRecord("answers.text", f"must be a list of texts, is {kind(given)}")
    return given


def _matches(values: Values) -> bool:
    if not all(isinstance(values.get(column), str) for column in ("question", "context")):
        return False
    answers = decoded(values.get("answers"))
    if answers is None:
        return "is_impossible" in values or "title" in values
    if isinstance(answers, dict):
        return "text" in answers
    return isinstance(answers, list) and (
        "is_impossible" in values or any(isinstance(one, dict) and "text" in one for one in answers)
    )


SQUAD = Shape(
    name="SQuAD",
    expected="title, context, question and answers {text, answer_start}",
    matches=_matches,
    read=read_squad,
)
