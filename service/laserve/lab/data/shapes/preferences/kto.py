"""Single answers that people accepted or not, as Hugging Face's TRL reads them for KTO."""

from laserve.lab.data.row import CORRECTNESS, Answer, Row
from laserve.lab.data.shapes.base import Location, Shape, Values
from laserve.lab.data.shapes.columns import truth
from laserve.lab.data.shapes.preferences.answers import compared
from laserve.lab.data.shapes.requests import make_row


def read(values: Values, location: Location) -> Row:
    """The row of a prompt and one completion, texts or messages, whose ``label`` says whether it is accepted.

    Raises:
        BadRecord: a column has another form.
        Unusable: a message cannot be held.
    """
    request, (answer,) = compared(values, ["completion"])
    quality = float(truth(values, "label"))
    return make_row(
        values,
        location,
        request=request,
        source=request.query,
        metric=CORRECTNESS,
        answers=(Answer(text=answer, quality=quality),),
    )


KTO = Shape(
    name="KTO",
    expected="prompt, completion and label, true or false",
    matches=lambda values: values.keys() >= {"prompt", "completion", "label"},
    read=read,
    joined=True,
)
