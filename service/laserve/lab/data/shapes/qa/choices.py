"""Multiple choice: LongBench v2 (Bai et al., 2024, arXiv 2412.15204) and MMLU (Hendrycks et al., 2021)."""

from collections.abc import Sequence

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, kind, name, plain, required, text
from laserve.lab.data.shapes.requests import items, make_request, make_row
from laserve.types import Document

LETTERS = "ABCD"
TASK = "multiple-choice"
_COLUMNS = tuple(f"choice_{letter}" for letter in LETTERS)
_INSTRUCTION = 'Answer with the letter of the right choice, like "The correct answer is (A)".'


def read_long_bench_v2(values: Values, location: Location) -> Row:
    """The row of a question on a long text with four choices; the metric is `choice`.

    Raises:
        BadRecord: a column has another form.
    """
    answer = text(values, "answer").strip()
    if answer not in tuple(LETTERS):
        raise BadRecord("answer", f"must be one of {', '.join(LETTERS)}, is {answer[:40]!r}")
    context, domain = text(values, "context"), name(values, "domain")
    return make_row(
        values,
        location,
        request=make_request(
            question=question_of(text(values, "question"), [text(values, column) for column in _COLUMNS]),
            documents=(Document(text=context),),
        ),
        task=TASK,
        domains=(domain,) if domain else (),
        metric="choice",
        references=(answer,),
    )


def read_mmlu(values: Values, location: Location) -> Row:
    """The row of a question with four choices, of which ``answer`` is the index; the metric is `choice`.

    Raises:
        BadRecord: a column has another form.
    """
    choices = [text({path: one}, path) for path, one in items(values, "choices")]
    if len(choices) != len(LETTERS):
        raise BadRecord("choices", f"must be {len(LETTERS)} texts, are {len(choices)}")
    answer = plain(required(values, "answer"))
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer not in range(len(LETTERS)):
        raise BadRecord("answer", f"must be the index of a choice, 0 to 3, is {kind(answer)}")
    subject = name(values, "subject")
    return make_row(
        values,
        location,
        request=make_request(question=question_of(text(values, "question"), choices)),
        task=TASK,
        domains=(subject,) if subject else (),
        metric="choice",
        references=(LETTERS[int(answer)],),
    )


def question_of(question: str, choices: Sequence[str]) -> str:
    """A question, its choices with their letters, and the instruction to answer with a letter."""
    listed = [f"({letter}) {choice.strip()}" for letter, choice in zip(LETTERS, choices, strict=True)]
    return "\n".join([question.strip(), *listed, _INSTRUCTION])


LONG_BENCH_V2 = Shape(
    name="LongBench v2",
    expected="question, choice_A to choice_D, answer and context",
    matches=lambda values: {"question", "answer", *_COLUMNS} <= values.keys(),
    read=read_long_bench_v2,
)
MMLU = Shape(
    name="MMLU",
    expected="question, choices and answer",
    matches=lambda values: (
        {"question", "answer"} <= values.keys() and isinstance(decoded(values.get("choices")), list)
    ),
    read=read_mmlu,
)
