"""Pairs whose request is an instruction: Orca DPO pairs, and those of Alpaca's columns."""

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import name, text
from laserve.lab.data.shapes.preferences.answers import BOTH, REQUEST, has, pair, with_system
from laserve.lab.data.shapes.requests import make_request
from laserve.types import Message, Request


def read(values: Values, location: Location) -> Row:
    """The row of ``chosen`` and ``rejected``, texts, in answer to an instruction.

    The request is ``question``, or ``instruction`` and what it is about, the optional ``input``, or ``input``
    alone; ``system`` is the system's message.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal.
    """
    return pair(
        values,
        location,
        request=with_system(values, _request(values)),
        texts=[text(values, column) for column in BOTH],
    )


def _request(values: Values) -> Request:
    columns = ("question",) if has(values, "question") else ("instruction", "input")
    given = [part for column in columns if (part := name(values, column))]
    if not given:
        raise BadRecord(columns[0], "is empty" if columns[0] in values else "is missing")
    return make_request(messages=[Message(role="user", content="\n".join(given))])


def _is_instruction(values: Values) -> bool:
    if not values.keys() >= {*BOTH} or has(values, "prompt") or values.get("messages"):
        return False
    if has(values, "question"):
        return has(values, "system") and not values.get("documents")
    return not any(has(values, column) for column in REQUEST) and bool(
        {"instruction", "input"} & values.keys()
    )


INSTRUCTION = Shape(
    name="Orca DPO pairs",
    expected="system and question, or instruction and input, chosen and rejected",
    matches=_is_instruction,
    read=read,
)
