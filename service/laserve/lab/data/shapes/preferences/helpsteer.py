"""HelpSteer 2, as ratings and as preferences, and HelpSteer 3."""

import re

from laserve.lab.data.row import REWARD, Answer, Row
from laserve.lab.data.shapes.base import Location, Shape, Values
from laserve.lab.data.shapes.columns import number, optional, text
from laserve.lab.data.shapes.conversations import request_turns, turns_of
from laserve.lab.data.shapes.preferences.answers import by_strength, pair
from laserve.lab.data.shapes.requests import make_request, make_row
from laserve.types import Message, Request

#: Highest rating; the lowest is 0.
_BEST = 4
#: Start of a later turn in a prompt of HelpSteer 2, whose first turn is the user's.
_TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\n")
_ROLES = {"User": "user", "Assistant": "assistant"}


def read_rated(values: Values, location: Location) -> Row:
    """The row of a prompt and one response, whose quality is ``helpfulness``, 0..4, divided by 4.

    Raises:
        BadRecord: a column has another form.
    """
    request = _request(text(values, "prompt"))
    quality = number(values, "helpfulness", low=0, high=_BEST) / _BEST
    return make_row(
        values,
        location,
        request=request,
        source=request.query,
        metric=REWARD,
        answers=(Answer(text=text(values, "response"), quality=quality),),
    )


def _request(prompt: str) -> Request:
    """The turns of a prompt, the later ones after marks such as ``<extra_id_1>Assistant``."""
    first, *parts = _TURN.split(prompt)
    turns = [Message(role="user", content=first)]
    turns += [
        Message(role=_ROLES[speaker], content=content)
        for speaker, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    return make_request(messages=turns)


def read_compared(values: Values, location: Location) -> Row:
    """The row of HelpSteer 2's preferences: ``preference_strength`` is below 0 if the first answer is better.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal.
    """
    return pair(
        values,
        location,
        request=_request(text(values, "prompt")),
        texts=[text(values, "response_1"), text(values, "response_2")],
        qualities=by_strength(values, "preference_strength"),
    )


def read_third(values: Values, location: Location) -> Row:
    """The row of HelpSteer 3's preferences: ``overall_preference`` is below 0 if the first answer is better.

    The request is ``context``, messages; ``domain`` is the domain.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal, or a message cannot be held.
    """
    return pair(
        values,
        location,
        request=make_request(messages=request_turns(turns_of(values, "context"), "context")),
        texts=[text(values, "response1"), text(values, "response2")],
        qualities=by_strength(values, "overall_preference"),
        domains=optional(values, "domain"),
    )


RATED = Shape(
    name="HelpSteer 2",
    expected="prompt, response and helpfulness, 0..4",
    matches=lambda values: values.keys() >= {"prompt", "response", "helpfulness"},
    read=read_rated,
    joined=True,
)
COMPARED = Shape(
    name="HelpSteer 2 preferences",
    expected="prompt, response_1, response_2 and preference_strength, -3..3",
    matches=lambda values: values.keys() >= {"response_1", "preference_strength"},
    read=read_compared,
)
THIRD = Shape(
    name="HelpSteer 3",
    expected="context [{role, content}], response1, response2 and overall_preference, -3..3",
    matches=lambda values: values.keys() >= {"context", "response1", "overall_preference"},
    read=read_third,
)
