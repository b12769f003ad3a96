"""GSM8K, also its Socratic form (Cobbe et al., 2021, arXiv 2110.14168)."""

import re

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import text
from laserve.lab.data.shapes.requests import make_request, make_row

#: Mark before the final number of a solution.
MARK = "####"


def read_gsm8k(values: Values, location: Location) -> Row:
    """The row of a problem; the reference is the final number, and the metric is `final_number`.

    The problem is a plain prompt, since the service's form of a question asks for an answer without working.

    Raises:
        BadRecord: a column has another form.
    """
    number = text(values, "answer").rpartition(MARK)[2].strip()
    if not re.search(r"\d", number):
        raise BadRecord("answer", f"must end with {MARK} and a number")
    return make_row(
        values,
        location,
        request=make_request(prompt=text(values, "question")),
        task="math",
        metric="final_number",
        references=(number,),
    )


def _matches(values: Values) -> bool:
    answer = values.get("answer")
    last = answer.strip().rpartition("\n")[2] if isinstance(answer, str) else ""
    return isinstance(values.get("question"), str) and last.startswith(MARK)


GSM8K = Shape(
    name="GSM8K",
    expected=f"question, and answer with {MARK} before its final number",
    matches=_matches,
    read=read_gsm8k,
)
