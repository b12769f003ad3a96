"""Solutions with judged steps: PRM800K, Math-Shepherd, and the stepwise form of TRL."""

import re
from collections.abc import Iterator, Mapping, Sequence

from laserve.lab.data.row import CORRECTNESS, REWARD, Answer, Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, optional, required, text, truth
from laserve.lab.data.shapes.requests import items, make_request, make_row, nested, objects, request_of

#: Rating of a step of PRM800K -> quality: wrong, right without progress, right.
_QUALITIES: Mapping[float, float] = {-1: 0.0, 0: 0.5, 1: 1.0}
NOTHING_TO_COMPARE = LeftOut(reason="PRM800K: no step with two completions of known rating")
BAD_PROBLEM = LeftOut(reason="PRM800K: bad_problem")
#: Mark of the end of a step in Math-Shepherd's inputs; its labels have + or - there.
MARK = "ки"
_FIRST_STEP = re.compile(r"step 1:", re.IGNORECASE)
UNDIVIDED = LeftOut(reason="Math-Shepherd: no step 1 after the problem")


def read_prm800k(values: Values, location: Location) -> list[Row] | LeftOut:
    """A row for each step with two completions or more of known rating (Lightman et al., 2023).

    An answer is the solution so far and one completion, since people judged a step in view of the steps
    before it; these are the chosen completions, or the human's where none was chosen. The qualities are 0
    for a wrong step, 0.5 for one without progress and 1 for a right one. The problem is the source. Problems
    that people reported as broken are left out.

    Raises:
        BadRecord: a column has another form.
    """
    problem = text(nested(required(values, "question"), "question"), "question.problem")
    label = nested(required(values, "label"), "label")
    if label.get("label.finish_reason") == "bad_problem":
        return BAD_PROBLEM
    rows = [
        make_row(
            {"id": f"{location.id}.{number}"},
            location,
            request=make_request(prompt=problem),
            source=problem,
            task="math",
            metric=REWARD,
            answers=answers,
        )
        for number, answers in enumerate(_steps(label), start=1)
        if len(answers) > 1
    ]
    return rows or NOTHING_TO_COMPARE


def _steps(label: Values) -> Iterator[tuple[Answer, ...]]:
    """Solutions up to each step, one for each of its completions of known rating."""
    before: list[str] = []
    for path, step in objects(label, "label.steps"):
        column = f"{path}.completions"
        completions = objects(step, column) if step.get(column) is not None else []
        texts = [text(one, f"{at}.text").strip() for at, one in completions]
        ratings = [_rating(one, f"{at}.rating") for at, one in completions]
        yield tuple(
            Answer(text="\n".join([*before, one]), quality=quality)
            for one, quality in zip(texts, ratings, strict=True)
            if quality is not None
        )
        chosen = _chosen(step, path, texts)
        if chosen is None:
            return
        before.append(chosen)


def _rating(completion: Values, path: str) -> float | None:
    value = completion.get(path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in _QUALITIES:
        raise BadRecord(path, "must be -1, 0, 1 or null")
    return _QUALITIES[value]


def _chosen(step: Values, path: str, texts: Sequence[str]) -> str | None:
    """Text of the step that the solution went on with; None if it ended."""
    index, human = step.get(f"{path}.chosen_completion"), step.get(f"{path}.human_completion")
    if index is not None:
        if isinstance(index, bool) or not isinstance(index, int | float) or index not in range(len(texts)):
            raise BadRecord(
                f"{path}.chosen_completion", f"must be the index of one of the {len(texts)} completions"
            )
        return texts[int(index)]
    if human is None or isinstance(human, str):
        return human
    return text(nested(human, f"{path}.human_completion"), f"{path}.human_completion.text")


def read_math_shepherd(values: Values, location: Location) -> Row | LeftOut:
    """The row of one solution; records of one problem are joined (Wang et al., 2024, arXiv 2312.08935).

    A solution is right if each of its steps is, since the data set judges a step by whether it can still
    lead to the right answer. The marks are removed. The few records whose problem and solution are not
    divided by "Step 1:" are left out.

    Raises:
        BadRecord: a column has another form.
    """
    given, label = text(values, "input"), text(values, "label")
    first = _FIRST_STEP.search(given)
    if first is None:
        return UNDIVIDED
    problem = given[: first.start()].replace(MARK, "").strip()
    signs = _signs(given, label)[given[: first.start()].count(MARK) :]
    solution = re.sub(rf"[ \t]*{MARK}", "", given[first.start() :]).strip()
    return make_row(
        values,
        location,
        request=make_request(prompt=problem),
        task="math",
        domains=optional(values, "task"),
        metric=CORRECTNESS,
        answers=(Answer(text=solution, quality=float("-" not in signs)),),
    )


def _signs(given: str, label: str) -> list[str]:
    """The sign of each step: the label is the input with + or - for each mark. Raises BadRecord."""
    pieces = given.split(MARK)
    pattern = "([+-])".join(re.escape(piece) for piece in pieces)
    match = re.fullmatch(pattern, label)
    if match is None:
        raise BadRecord("label", f"must be the text of input with + or - for each {MARK}")
    return list(match.groups())


def read_stepwise(values: Values, location: Location) -> Row:
    """The row of one solution; records of one prompt are joined.

    A solution is right if each of its steps is. Its text has a line for each step, as TRL joins them.

    Raises:
        BadRecord: a column has another form.
    """
    steps = [text({path: one}, path) for path, one in items(values, "completions")]
    labels = [truth({path: one}, path) for path, one in items(values, "labels")]
    if len(labels) != len(steps):
        raise BadRecord("labels", f"must have an entry for each of the {len(steps)} steps, has {len(labels)}")
    if not steps:
        raise BadRecord("completions", "is empty")
    return make_row(
        values,
        location,
        request=request_of(values),
        metric=CORRECTNESS,
        answers=(Answer(text="\n".join(steps), quality=float(all(labels))),),
    )


def _is_prm800k(values: Values) -> bool:
    question, label = decoded(values.get("question")), decoded(values.get("label"))
    return (
        isinstance(question, dict) and "problem" in question and isinstance(label, dict) and "steps" in label
    )


def _is_math_shepherd(values: Values) -> bool:
    given, label = values.get("input"), values.get("label")
    return isinstance(given, str) and isinstance(label, str) and MARK in given


def _is_stepwise(values: Values) -> bool:
    columns = (decoded(values.get("completions")), decoded(values.get("labels")))
    return "prompt" in values and all(isinstance(column, list) for column in columns)


PRM800K = Shape(
    name="PRM800K",
    expected="question {problem} and label {steps [{completions [{text, rating}]}]}",
    matches=_is_prm800k,
    read=read_prm800k,
)
MATH_SHEPHERD = Shape(
    name="Math-Shepherd",
    expected=f"input with {MARK} after each step, and label with + or - there",
    matches=_is_math_shepherd,
    read=read_math_shepherd,
    joined=True,
)
STEPWISE = Shape(
    name="TRL stepwise supervision",
    expected="prompt, completions and labels, one entry a step",
    matches=_is_stepwise,
    read=read_stepwise,
    joined=True,
)
