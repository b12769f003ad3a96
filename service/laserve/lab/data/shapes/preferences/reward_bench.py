"""RewardBench and RewardBench 2."""

from laserve.lab.data.row import CORRECTNESS, Answer, Row
from laserve.lab.data.shapes.base import Location, Shape, Unusable, Values
from laserve.lab.data.shapes.columns import decoded, name, text, texts
from laserve.lab.data.shapes.preferences.answers import (
    BOTH,
    NO_BETTER,
    compared,
    pair,
    prompt_of,
    two_names,
)
from laserve.lab.data.shapes.requests import id_of, make_row


def read_first(values: Values, location: Location) -> Row:
    """The row of a pair whose ``subset`` is its domain, and part of its id.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal, or a message cannot be held.
    """
    subset = text(values, "subset")
    request, answers = compared(values, BOTH)
    return pair(
        {**values, "id": f"{subset}/{id_of(values, location)}"},
        location,
        request=request,
        texts=answers,
        models=two_names(values, "chosen_model", "rejected_model"),
        domains=(subset,),
    )


def read_second(values: Values, location: Location) -> Row:
    """The row of right answers, ``chosen``, and wrong ones, ``rejected``; ``subset`` is the domain.

    The subset Ties has several right answers. The column ``models`` is not read, since it does not say which
    model wrote which answer.

    Raises:
        BadRecord: a column has another form.
        Unusable: there are no right answers, or no wrong ones.
    """
    lists = {column: decoded(values[column]) for column in BOTH}
    if [] in lists.values():
        raise Unusable(NO_BETTER)
    request = prompt_of(values)
    subset = name(values, "subset")
    return make_row(
        values,
        location,
        request=request,
        source=request.query,
        metric=CORRECTNESS,
        domains=(subset,) if subset else (),
        answers=tuple(
            Answer(text=one, quality=quality)
            for column, quality in zip(BOTH, (1.0, 0.0), strict=True)
            for one in texts(lists, column)
        ),
    )


def _are_lists(values: Values) -> bool:
    """Whether both columns are lists of texts; a text of a JSON list may be an answer in another set."""
    if "num_correct" in values:
        return True
    lists = [values.get(column) for column in BOTH]
    return all(isinstance(one, list) and (not one or isinstance(one[0], str)) for one in lists)


FIRST = Shape(
    name="RewardBench",
    expected="prompt, chosen, rejected and subset",
    matches=lambda values: values.keys() >= {"prompt", *BOTH, "subset"},
    read=read_first,
)
SECOND = Shape(
    name="RewardBench 2",
    expected="prompt, and chosen and rejected, lists of texts",
    matches=lambda values: values.keys() >= {"prompt", *BOTH} and _are_lists(values),
    read=read_second,
)
