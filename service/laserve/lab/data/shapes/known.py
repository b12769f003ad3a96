"""All known shapes, in the order in which they are tried."""

from collections.abc import Collection

from laserve.lab.data.shapes.base import BadRecord, Shape, Values
from laserve.lab.data.shapes.labelled import JUDGED, REWARDED
from laserve.lab.data.shapes.preferences import (
    arena,
    helpsteer,
    instructions,
    kto,
    pairs,
    ppe,
    published,
    reward_bench,
    ultrafeedback,
)
from laserve.lab.data.shapes.qa.choices import LONG_BENCH_V2, MMLU
from laserve.lab.data.shapes.qa.gsm8k import GSM8K
from laserve.lab.data.shapes.qa.long_bench import LONG_BENCH
from laserve.lab.data.shapes.qa.open_qa import HOTPOT_QA, TRIVIA_QA
from laserve.lab.data.shapes.qa.own import PLAIN, QUESTION
from laserve.lab.data.shapes.qa.squad import SQUAD
from laserve.lab.data.shapes.steps import MATH_SHEPHERD, PRM800K, STEPWISE

#: A record has the first shape that matches, so that a shape of more columns precedes one of fewer.
SHAPES: tuple[Shape, ...] = (
    pairs.OPENAI,
    ppe.PREFERENCE,
    ppe.BEST_OF,
    helpsteer.RATED,
    helpsteer.COMPARED,
    helpsteer.THIRD,
    arena.CONVERSATIONS,
    arena.LISTS,
    kto.KTO,
    published.WEB_GPT,
    published.SHP,
    published.SAFE,
    published.RANKED,
    reward_bench.SECOND,
    reward_bench.FIRST,
    ultrafeedback.RATED,
    ultrafeedback.ARGILLA,
    ultrafeedback.BINARIZED,
    pairs.SOURCED,
    pairs.MESSAGES,
    instructions.INSTRUCTION,
    pairs.TRANSCRIPTS,
    pairs.OWN,
    JUDGED,
    REWARDED,
    PRM800K,
    MATH_SHEPHERD,
    STEPWISE,
    LONG_BENCH_V2,
    LONG_BENCH,
    SQUAD,
    MMLU,
    TRIVIA_QA,
    HOTPOT_QA,
    GSM8K,
    QUESTION,
    PLAIN,
)
#: End of the message on a record without a shape.
NO_SHAPE = "which no known shape has"
#: Columns that a message names, and the characters of each.
_NAMED, _NAME = 12, 40


def shape_of(values: Values) -> Shape:
    """The shape of a record. Raises BadRecord if it has none; the message lists its columns."""
    for shape in SHAPES:
        if shape.matches(values):
            return shape
    raise BadRecord("", f"has the columns {listed(values) or '(none)'}, {NO_SHAPE}")


def listed(columns: Collection[str]) -> str:
    """Names of columns for a message: the first ones, cut, without control characters."""
    names = ", ".join(repr(column[:_NAME])[1:-1] for column in [*columns][:_NAMED])
    return names + (f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else "")
