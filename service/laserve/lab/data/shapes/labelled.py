"""Requests with answers of known quality: right and wrong ones, and candidates with rewards."""

from collections.abc import Sequence

from laserve.lab.data.row import CORRECTNESS, MEASURES, REWARD, Answer, Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, name, number, optional, text, texts, truth
from laserve.lab.data.shapes.requests import items, make_row, nested, objects, request_of

#: Metric of a feedback with references that names none.
_DEFAULT_METRIC = "f1"


def read_judged(values: Values, location: Location) -> Row:
    """The row of answers that are right (quality 1) or wrong (0).

    The columns are a request; ``responses`` and ``correct``, one entry an answer; and optionally ``models``,
    the name of the model that wrote each, ``domain`` (by default the file's name), ``task`` (by default the
    domain), ``id`` and ``source``.

    Raises:
        BadRecord: a column has another form.
    """
    given = [text({path: one}, path) for path, one in items(values, "responses")]
    right = [float(truth({path: one}, path)) for path, one in items(values, "correct")]
    _check_length("correct", right, given)
    models: Sequence[str | None] = [None] * len(given)
    if decoded(values.get("models")):
        models = texts({"models": decoded(values["models"])}, "models")
        _check_length("models", models, given)
    domain = name(values, "domain")
    return make_row(
        values,
        location,
        request=request_of(values),
        task=name(values, "task") or domain,
        domains=(domain or location.file,),
        metric=CORRECTNESS,
        answers=tuple(
            Answer(text=one, quality=quality, model=model)
            for one, quality, model in zip(given, right, models, strict=True)
        ),
    )


def _check_length(column: str, values: Sequence[object], answers: Sequence[object]) -> None:
    if len(values) != len(answers):
        raise BadRecord(
            column, f"must have an entry for each of the {len(answers)} answers, has {len(values)}"
        )


def read_rewarded(values: Values, location: Location) -> Row:
    """The row of candidates whose reward is known, as `laserve export` writes it; there may be none.

    The columns are a request; ``candidates``, objects with ``text`` and optionally ``logprob``; ``rewards``,
    0..1 or null where unknown, one a candidate; and optionally ``feedback``, ``domain``, ``task``, ``id``,
    and ``source``, also in ``metadata``. The right answers are those of the last feedback with references; if
    there are some, the metric is that of the feedback, since it measures other answers to the request.

    Raises:
        BadRecord: a column has another form.
    """
    candidates = objects(values, "candidates")
    rewards = [one for _, one in items(values, "rewards")]
    _check_length("rewards", rewards, candidates)
    answers = [
        Answer(
            text=text(candidate, f"{path}.text"),
            quality=number({f"rewards[{index}]": rewards[index]}, f"rewards[{index}]", low=0, high=1),
            logprob=_logprob(candidate, f"{path}.logprob"),
        )
        for index, (path, candidate) in enumerate(candidates)
        if rewards[index] is not None
    ]
    references, metric = _references(values)
    domains = optional(values, "domain")
    return make_row(
        values,
        location,
        request=request_of(values),
        task=name(values, "task") or next(iter(domains), None),
        domains=domains,
        metric=metric if references else REWARD,
        answers=tuple(answers),
        references=references,
    )


def _logprob(candidate: Values, path: str) -> float | None:
    if candidate.get(path) is None:
        return None
    return number(candidate, path, low=-1e9, high=1e9)


def _references(values: Values) -> tuple[tuple[str, ...], str]:
    """References and metric of the last feedback with references; none and the default metric without."""
    named: tuple[tuple[str, ...], str] = ((), _DEFAULT_METRIC)
    for path, one in items(values, "feedback") if values.get("feedback") is not None else ():
        entry = nested(one, path)
        if entry.get(f"{path}.kind") == "references":
            metric = name(entry, f"{path}.metric") or _DEFAULT_METRIC
            if metric not in MEASURES:
                raise BadRecord(f"{path}.metric", f"must be one of {', '.join(MEASURES)}")
            named = texts(entry, f"{path}.value"), metric
    return named


def _is_rewarded(values: Values) -> bool:
    candidates = decoded(values.get("candidates"))
    texts_inside = isinstance(candidates, list) and any(
        isinstance(one, dict) and "text" in one for one in candidates
    )
    return "candidates" in values and ("rewards" in values or texts_inside)


JUDGED = Shape(
    name="right and wrong answers",
    expected="responses and correct, and a request: question, messages or prompt",
    matches=lambda values: "responses" in values,
    read=read_judged,
)
REWARDED = Shape(
    name="candidates with rewards, such as those of laserve export",
    expected="candidates and rewards, and a request: question, messages or prompt",
    matches=_is_rewarded,
    read=read_rewarded,
)
