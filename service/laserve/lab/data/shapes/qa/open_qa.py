"""Open question answering: TriviaQA (Joshi et al., 2017) and HotpotQA (Yang et al., 2018)."""

from collections.abc import Iterator

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, kind, name, required, text
from laserve.lab.data.shapes.qa.own import NO_ANSWERS, answers_in, right_answers
from laserve.lab.data.shapes.requests import make_request, make_row, nested, objects
from laserve.types import Document

#: Columns of TriviaQA's documents, and the field of their texts.
_PAGES = (("entity_pages", "wiki_context"), ("search_results", "search_context"))


def read_trivia_qa(values: Values, location: Location) -> Row | LeftOut:
    """The row of a question whose ``answer`` holds a value and its aliases; the metric is token F1.

    The documents are the pages of Wikipedia and of the web that the record holds.

    Raises:
        BadRecord: a column has another form.
    """
    answer = nested(required(values, "answer"), "answer")
    references = [
        *answers_in(answer.get("answer.value"), "answer.value"),
        *answers_in(answer.get("answer.aliases"), "answer.aliases"),
    ]
    if not references:
        return NO_ANSWERS
    return make_row(
        values,
        location,
        request=make_request(question=text(values, "question"), documents=tuple(_pages(values))),
        references=tuple(dict.fromkeys(references)),
    )


def _pages(values: Values) -> Iterator[Document]:
    """The pages that hold a text. Raises BadRecord."""
    for column, field in _PAGES:
        if decoded(values.get(column)):
            for path, page in _objects(values, column):
                if content := name(page, f"{path}.{field}"):
                    yield Document(title=name(page, f"{path}.title") or "", text=content)


def _objects(values: Values, column: str) -> list[tuple[str, Values]]:
    """Objects of a column, with their paths: a list of objects, or an object of lists. Raises BadRecord."""
    value = decoded(required(values, column))
    if isinstance(value, dict):
        lists = {field: entries for field, entries in value.items() if isinstance(entries, list)}
        value = [
            {field: entries[index] for field, entries in lists.items() if index < len(entries)}
            for index in range(max(map(len, lists.values()), default=0))
        ]
    return objects({column: value}, column)


def read_hotpot_qa(values: Values, location: Location) -> Row | LeftOut:
    """The row of a question on several articles; the metric is token F1.

    The column ``context`` is ``{title, sentences}`` with two lists in rows, ``[[title, sentences]]`` in the
    JSON document.

    Raises:
        BadRecord: a column has another form.
    """
    references = right_answers(values)
    if not references:
        return NO_ANSWERS
    return make_row(
        values,
        location,
        request=make_request(question=text(values, "question"), documents=tuple(_articles(values))),
        task="multi-doc-qa",
        references=references,
    )


def _articles(values: Values) -> Iterator[Document]:
    context = decoded(required(values, "context"))
    if isinstance(context, list):
        context = [
            {"title": one[0], "sentences": one[1]} if isinstance(one, list) and len(one) == 2 else one
            for one in context
        ]
    for path, article in _objects({"context": context}, "context"):
        sentences = required(article, f"{path}.sentences")
        if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
            raise BadRecord(f"{path}.sentences", f"must be a list of texts, is {kind(sentences)}")
        whole = " ".join(sentence.strip() for sentence in sentences)
        yield Document(title=name(article, f"{path}.title") or "", text=whole)


def _is_trivia_qa(values: Values) -> bool:
    answer = decoded(values.get("answer"))
    return values.get("question") is not None and isinstance(answer, dict) and "value" in answer


def _is_hotpot_qa(values: Values) -> bool:
    context = decoded(values.get("context"))
    if isinstance(context, list):
        context = {"title": 0, "sentences": 0} if all(isinstance(one, list) for one in context) else None
    return (
        {"question", "answer"} <= values.keys()
        and isinstance(context, dict)
        and {"title", "sentences"} <= context.keys()
    )


TRIVIA_QA = Shape(
    name="TriviaQA",
    expected="question and answer {value, aliases}",
    matches=_is_trivia_qa,
    read=read_trivia_qa,
)
HOTPOT_QA = Shape(
    name="HotpotQA",
    expected="question, answer and context {title, sentences}",
    matches=_is_hotpot_qa,
    read=read_hotpot_qa,
)
