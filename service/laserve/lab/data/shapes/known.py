"""All known shapes, in the order in which they are tried."""

from laserve.lab.data.shapes.base import BadRecord, Shape, Values
from laserve.lab.data.shapes.labelled import JUDGED, REWARDED
from laserve.lab.data.shapes.qa.long_bench import LONG_BENCH
from laserve.lab.data.shapes.qa.own import PLAIN, QUESTION
from laserve.lab.data.shapes.qa.squad import SQUAD

#: A record has the first shape that matches, so that a shape of more columns precedes one of fewer.
SHAPES: tuple[Shape, ...] = (
    JUDGED,
    REWARDED,
    LONG_BENCH,
    SQUAD,
    QUESTION,
    PLAIN,
)


def shape_of(values: Values) -> Shape:
    """The shape of a record. Raises BadRecord if it has none; the message lists its columns."""
    for shape in SHAPES:
        if shape.matches(values):
            return shape
    raise BadRecord("", f"has the columns {', '.join(values) or '(none)'}, which no known shape has")
